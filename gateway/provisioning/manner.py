"""How a caller wants a write carried out: how long it waits for the answer, and by what the same request is known again."""

from collections.abc import Callable
from dataclasses import dataclass, replace

WAIT_SECONDS = 20.0  # what a synchronous request waits before it becomes a 202
LONGEST_WAIT = 50.0  # below the time-outs of usual proxies


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """`stored` is a digest: the operator's keys and a tenant's own never meet. `fingerprint` tells whether the body is the same."""

    stored: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Manner:
    """`wait_seconds` 0 = nobody waits, the worker sends it. `repeat_key` is for clients that repeat a request without a key of their own.

    `before_planning` is called in the transaction that plans, and raises a Problem where nothing may be planned any more.
    """

    key: IdempotencyKey | None = None
    wait_seconds: float = WAIT_SECONDS
    repeat_key: str = ""
    before_planning: Callable[[], None] | None = None

    def after(self, seconds: float) -> "Manner":
        """What is left of it when `seconds` were spent. Who waits is not deferred by that: a moment is left to them."""
        return self if self.deferred else replace(self, wait_seconds=max(0.1, self.wait_seconds - seconds))

    @property
    def deferred(self) -> bool:
        return self.wait_seconds <= 0


AS_USUAL = Manner()
