"""Every model of the ground floor, by room."""

from tenants.models.directory import Tenant
from tenants.models.grants import TenantGroupGrant, TenantUserGrant
from tenants.models.records import AuditEntry, AuditHead, AuditSeal, Event, EventPosition, Unsealed
from tenants.models.session_tokens import SessionToken
from tenants.models.standing import Lease, RateBucket
from tenants.models.tokens import Token, TokenReach
from tenants.models.used_keys import UsedKey

__all__ = [
    "AuditEntry",
    "AuditHead",
    "AuditSeal",
    "Event",
    "EventPosition",
    "Lease",
    "RateBucket",
    "SessionToken",
    "Tenant",
    "TenantGroupGrant",
    "TenantUserGrant",
    "Token",
    "TokenReach",
    "Unsealed",
    "UsedKey",
]
