"""What every kind of upstream write knows about itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from gateway.fortiflex.client import FortiFlexClient
from gateway.fortiflex.records import Answer
from gateway.models import Attempt, Operation
from gateway.operations import Plan


class NotOurs(Exception):
    """The answer names entitlements that somebody owns or that were there before: adopting them would move what is not ours."""

    def __init__(self, serial_numbers: Sequence[str]) -> None:
        super().__init__(f"Not adopted: {', '.join(serial_numbers)}.")
        self.serial_numbers = list(serial_numbers)


class WrongAnswer(Exception):
    """FortiFlex answered success about something else than was asked."""


class Verdict(StrEnum):
    DONE = "done"
    PARTLY = "partly"  # some of what was asked is there
    ABSENT = "absent"  # nothing of it is there, as far as this look can see
    UNSEEN = "unseen"  # what it was about is not listed at all, so nothing can be said of it yet
    UNCLEAR = "unclear"  # a person has to look


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look upstream saw. `value` is what `store` takes; `seen` goes into the operation's evidence.

    `by_absence`: what proves it is that something is not listed, and FortiFlex lists late.
    """

    verdict: Verdict
    value: Any = None
    seen: dict[str, Any] = field(default_factory=dict)
    by_absence: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """What an operation came to. `missing` = how many of those asked for were not made; `followups` are planned with the settling."""

    serial_numbers: Sequence[str] = ()
    config_id: int | None = None
    missing: int = 0
    followups: Sequence[Plan] = ()


class Write(Protocol):
    def build_request(self, operation: Operation, tag: str) -> dict[str, Any]:
        """What will be sent, JSON-able, kept in the attempt. Inside an open context."""

    def send(self, client: FortiFlexClient, request: dict[str, Any]) -> Answer[Any]:
        """The call itself; no context is open."""

    def store(self, operation: Operation, value: Any) -> Stored:
        """Write what the answer (or a finding) says, in the settling transaction. Raises NotOurs or WrongAnswer."""

    def look(self, client: FortiFlexClient, operation: Operation, attempt: Attempt) -> Finding:
        """See upstream whether it was done; no context is open while calling."""
