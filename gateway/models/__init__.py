"""Every model of the gateway, by room."""

from gateway.ledger.models import AccountDay, EndDateCalibration, LedgerCorrection, LedgerEntry, PointsFetch
from gateway.models.api_users import ApiUser, UpstreamCall, UpstreamLane, UpstreamTurn
from gateway.models.assignment_rules import AssignmentRule
from gateway.models.catalogue import ProductCatalogue
from gateway.models.mirror import Config, ConfigOffer, Entitlement, Program, ProgramAccount
from gateway.models.operations import Attempt, Operation
from gateway.models.ownership import Assignment, Placement

__all__ = [
    "AccountDay",
    "ApiUser",
    "Assignment",
    "AssignmentRule",
    "Attempt",
    "Config",
    "ConfigOffer",
    "EndDateCalibration",
    "Entitlement",
    "LedgerCorrection",
    "LedgerEntry",
    "Operation",
    "Placement",
    "PointsFetch",
    "ProductCatalogue",
    "Program",
    "ProgramAccount",
    "UpstreamCall",
    "UpstreamLane",
    "UpstreamTurn",
]
