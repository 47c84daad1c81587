"""Who was let in a moment ago is taken for let in until PostgreSQL is asked anything: that asks it first, or in the same round trip.

Nothing that PostgreSQL knows is seen, nothing is written and nothing answered on a presumption alone. The views that begin with one name the
method (`ApiView.presuming_methods`); the hooks are in `tenants.context`, and in `ApiView` for what answers without having asked anything.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from tenants.rows import Statement


@dataclass(frozen=True, slots=True)
class Presumption:
    """`asks` = makes one statement, of the gateway itself; `holds` = an expression that is true behind it where who asks is let in. `hears` is
    given the rows of that statement: True where it holds, False where more has to be looked at; Problem `rate_limited`. `confirm` looks at all
    of it: Problem `not_authenticated` or `rate_limited`, StandsOtherwise.
    """

    asks: Callable[[], Statement]
    holds: Statement
    hears: Callable[[Sequence[Sequence[Any]]], bool]
    confirm: Callable[[], None]


class StandsOtherwise(Exception):
    """Let in, but not as who was presumed: nothing was done, and the request has to begin anew as `actor`."""

    def __init__(self, actor: Any) -> None:
        super().__init__("Who asks stands otherwise by now.")
        self.actor = actor


_presumed: ContextVar[Presumption | Exception | None] = ContextVar("flexgate_presumed", default=None)


def presume(presumption: Presumption) -> None:
    _presumed.set(presumption)


def what_is_presumed() -> Presumption | None:
    """None where nobody is, or not any more. Raises again what a confirmation raised: whoever caught that is stopped at the next access."""
    presumed = _presumed.get()
    if isinstance(presumed, Exception):
        raise presumed
    return presumed


def confirm_presumed() -> None:
    """Look up who is only presumed. Problems of that, StandsOtherwise."""
    presumption = what_is_presumed()
    if presumption is not None:
        with confirming():
            presumption.confirm()


@contextmanager
def confirming() -> Iterator[None]:
    """What happens inside is the confirmation: what it raises stands until `forget_presumption`."""
    _presumed.set(None)
    try:
        yield
    except Exception as refusal:
        _presumed.set(refusal)
        raise


def is_confirmed() -> bool:
    """Nobody is only presumed, and no confirmation has failed."""
    return _presumed.get() is None


def forget_presumption() -> None:
    """For whoever answers with what the confirmation raised."""
    _presumed.set(None)


@contextmanager
def one_request() -> Iterator[None]:
    """No presumption outlives the request that it was made for."""
    token = _presumed.set(None)
    try:
        yield
    finally:
        _presumed.reset(token)
