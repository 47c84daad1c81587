"""The Session of one API user for the pure client: its calls go through the gate and with the one live token."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.access_tokens import AccessTokens
from gateway.fortiflex.errors import FortiFlexError, LoginRefused, NotSent, OutcomeUnknown
from gateway.fortiflex.records import Exchange
from gateway.gate.limits import Asker, GateClosed, count_calls, full_window
from gateway.gate.records import GATE, CallRecord, closing_after, describe_failure
from gateway.gate.turns import Turn, take_turn
from gateway.models import ApiUser
from tenants import clock
from tenants.context import acting_as, refuse_open_context
from tenants.secrets import SecretUnreadable


@dataclass(slots=True)
class GatedSession:
    """`wait_seconds`: how long a caller waits for its turn; `call_seconds`: the call's total deadline. `turn` = one that is ours already."""

    api_user: ApiUser
    tokens: AccessTokens
    asker: Asker
    wait_seconds: float
    call_seconds: float
    turn: Turn | None = None

    @contextmanager
    def enter(self, path: str, *, writes: bool) -> Iterator["GatedPassage"]:
        refuse_open_context(f"A call of {path}")
        if self.turn is not None:
            with _watched(self.turn):
                yield GatedPassage(self, self.turn, path)
            return
        with (
            take_turn(
                self.api_user,
                self.asker,
                wait_seconds=self.wait_seconds,
                call_seconds=self.call_seconds,
                writes=writes,
            ) as turn,
        ):
            if turn is None:
                raise AssertionError("a turn without a claim is always had")
            with _watched(turn):
                yield GatedPassage(self, turn, path)


@contextmanager
def _watched(turn: Turn) -> Iterator[None]:
    """No connection is a silence too, though nothing was on the wire."""
    try:
        yield
    except GateClosed:
        raise
    except NotSent as error:
        turn.failures += 1
        turn.closing = closing_after(error, turn.failures)
        raise


@dataclass(slots=True)
class GatedPassage:
    """One turn in the lane."""

    session: GatedSession
    turn: Turn
    path: str
    _started: float = field(default_factory=time.monotonic)

    def seconds_left(self) -> float:
        return self.turn.ends_at - time.monotonic()

    def access_token(self, *, rejected: str | None = None) -> str:
        api_user, tokens = self.session.api_user, self.session.tokens
        found = tokens.read(self.turn.lane)
        if found is not None and found != rejected:
            return found
        self._refuse_without_room()
        self.turn.announce_next()
        self._started = time.monotonic()
        try:
            token = tokens.log_in(api_user, seconds=self.seconds_left())
        except SecretUnreadable as error:
            raise NotSent(str(error)) from error
        except NotSent:
            raise
        except FortiFlexError as error:
            self._note_failure("oauth/token", error)
            raise
        self.turn.record(CallRecord("oauth/token", "ok", False, 200, self._took()))
        self.turn.announce_next()
        self._started = time.monotonic()
        return token

    def record_answer(self, exchange: Exchange) -> None:
        self.turn.record(CallRecord(self.path, "ok", False, exchange.http_status, self._took()))
        self.turn.failures = 0

    def record_failure(self, error: FortiFlexError) -> None:
        self._note_failure(self.path, error)

    def _note_failure(self, path: str, error: FortiFlexError) -> None:
        self.turn.record(describe_failure(path, error, self._took()))
        silent = isinstance(error, OutcomeUnknown) or (path == "oauth/token" and not isinstance(error, LoginRefused))
        self.turn.failures = self.turn.failures + 1 if silent else 0
        self.turn.closing = closing_after(error, self.turn.failures)

    def _refuse_without_room(self) -> None:
        """The login is a request too. The call that it is for was counted when the turn was taken, unless it was refused since."""
        room = 1 if self.turn.announced else 2
        with acting_as(GATE):
            now = clock.now()
            counts = count_calls(self.session.api_user.id, now)
            full = full_window(self.session.api_user, counts, self.turn.asker.standing, now, room=room)
        if full is not None:
            raise full

    def _took(self) -> int:
        return round((time.monotonic() - self._started) * 1000)
