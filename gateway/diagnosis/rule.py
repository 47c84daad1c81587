"""What a rule of the diagnosis is, and how bad what it finds."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.diagnosis.facts import Facts, Told


class Severity(StrEnum):
    """In the order in which findings are told."""

    PROBLEM = "problem"  # it does not do what it should; somebody has to act
    WARNING = "warning"  # it will not, or money may be lost
    NOTICE = "notice"  # good to know


@dataclass(frozen=True, slots=True)
class Rule:
    """`code` is stable. `find` is pure. `scope` = what a caller needs besides entitlements:read to be told.

    `operators_only` = it speaks of others, or of how the gateway reaches FortiFlex. `for_past_owners` = about the caller's own days and
    operations, so it is told too when the entitlement is somebody else's today.
    """

    code: str
    severity: Severity
    summary: str
    find: Callable[[Facts], Told | None]
    scope: str | None = None
    operators_only: bool = False
    for_past_owners: bool = False
