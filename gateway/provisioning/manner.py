"""How a caller wants a write carried out: how long it waits for the answer, and by what the same request is known again."""

from dataclasses import dataclass, replace
from typing import Protocol

from tenants.idempotency import IdempotencyKey
from tenants.problems import Problem
from tenants.rows import Statement

WAIT_SECONDS = 20.0  # what a synchronous request waits before it becomes a 202
LONGEST_WAIT = 50.0  # below the time-outs of usual proxies


class Fence(Protocol):
    """What keeps a request from planning after somebody else took its place."""

    def still_holds(self) -> Statement:
        """An expression that the gateway itself asks; where it is true it stays so until the transaction ends."""

    def refusal(self) -> Problem:
        """What to answer where it is false."""


@dataclass(frozen=True, slots=True)
class Manner:
    """`wait_seconds` 0 = nobody waits, the worker sends it. `repeat_key` is for clients that repeat a request without a key of their own.

    `fence` is asked in the transaction that plans.
    """

    key: IdempotencyKey | None = None
    wait_seconds: float = WAIT_SECONDS
    repeat_key: str = ""
    fence: Fence | None = None

    def after(self, seconds: float) -> "Manner":
        """What is left of it when `seconds` were spent. Who waits is not deferred by that: a moment is left to them."""
        return self if self.deferred else replace(self, wait_seconds=max(0.1, self.wait_seconds - seconds))

    @property
    def deferred(self) -> bool:
        return self.wait_seconds <= 0


AS_USUAL = Manner()
