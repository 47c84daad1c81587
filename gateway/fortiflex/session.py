"""What stands between the client and the wire: the lane, the limits and the one live token. The client is handed one of these."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from gateway.fortiflex.auth import AccessToken, log_in
from gateway.fortiflex.errors import FortiFlexError
from gateway.fortiflex.records import Exchange


class Passage(Protocol):
    """The right to make one call now."""

    def seconds_left(self) -> float:
        """What is left of this call's total deadline, login included."""

    def access_token(self, *, rejected: str | None = None) -> str:
        """The one live token. `rejected` = the value that FortiFlex just refused, so a new one is needed. May log in."""

    def record_answer(self, exchange: Exchange) -> None:
        """Called once per request on the wire that was answered with status 0."""

    def record_failure(self, error: FortiFlexError) -> None:
        """Called once per request on the wire that failed."""


class Session(Protocol):
    def enter(self, path: str, *, writes: bool) -> AbstractContextManager[Passage]:
        """Wait for the lane and the limits. Raises a NotDone when the call may not be made now."""


@dataclass(slots=True)
class DirectSession:
    """A session without limits, for scripts and tests: logs in once and again when the token is refused or old."""

    transport: httpx.BaseTransport
    auth_url: str
    username: str
    password: str = field(repr=False)
    call_seconds: float = 60.0
    _token: AccessToken | None = field(default=None, repr=False)

    @contextmanager
    def enter(self, path: str, *, writes: bool) -> Iterator[Passage]:
        yield _DirectPassage(self, time.monotonic() + self.call_seconds)


@dataclass(slots=True)
class _DirectPassage:
    session: DirectSession
    ends_at: float

    def seconds_left(self) -> float:
        return self.ends_at - time.monotonic()

    def access_token(self, *, rejected: str | None = None) -> str:
        token = self.session._token
        if token is None or token.value == rejected or token.is_old():
            token = log_in(
                self.session.transport,
                self.session.auth_url,
                username=self.session.username,
                password=self.session.password,
                seconds=self.seconds_left(),
            )
            self.session._token = token
        return token.value

    def record_answer(self, exchange: Exchange) -> None: ...

    def record_failure(self, error: FortiFlexError) -> None: ...
