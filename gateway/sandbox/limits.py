"""FortiFlex's rate limits, where they are switched on: per API user, -10 a minute, -11 an hour, -30 for too many errors in an hour."""

from collections import defaultdict, deque
from datetime import datetime, timedelta

from gateway.sandbox.refusals import Refusal
from gateway.sandbox.settings import SandboxSettings

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Limits:
    def __init__(self) -> None:
        self._calls: dict[str, deque[datetime]] = defaultdict(deque)
        self._errors: dict[str, deque[datetime]] = defaultdict(deque)

    def count_call(self, username: str, now: datetime, settings: SandboxSettings) -> None:
        """Count one call; Refusal if it is one too many. A refused call counts too."""
        calls, errors = self._calls[username], self._errors[username]
        calls.append(now)
        while calls and calls[0] <= now - HOUR:
            calls.popleft()
        while errors and errors[0] <= now - HOUR:
            errors.popleft()
        if settings.errors_per_hour is not None and len(errors) >= settings.errors_per_hour:
            raise Refusal("Too many errors.", http_status=429, status=-30)
        if settings.per_hour is not None and len(calls) > settings.per_hour:
            raise Refusal("Exceeded the allowed requests per hour.", http_status=429, status=-11)
        if settings.per_minute is not None and sum(1 for at in calls if at > now - MINUTE) > settings.per_minute:
            raise Refusal("Exceeded the allowed requests per minute.", http_status=429, status=-10)

    def count_error(self, username: str, now: datetime) -> None:
        self._errors[username].append(now)
