"""What is the matter with an entitlement, and what to do about it. Reads alone; FortiFlex is not asked."""

from gateway.diagnosis.composing import diagnose_entitlement
from gateway.diagnosis.registry import CODES, RULES

__all__ = ["CODES", "RULES", "diagnose_entitlement"]
