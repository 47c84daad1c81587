"""Put one request on the wire within a total deadline, and say precisely what came of it."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx

from gateway.fortiflex.errors import NotSent, OutcomeUnknown
from gateway.fortiflex.records import Exchange

CONNECT_SECONDS = 5.0
LARGEST_BODY = 64 * 1024 * 1024
# The request never left: no connection was made, or none was to be had.
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)


def exchange(
    http: httpx.Client, url: str, *, path: str, body: bytes, headers: Mapping[str, str], seconds: float
) -> tuple[Exchange, httpx.Headers]:
    """POST `body` and read the whole answer in at most `seconds`. httpx's own time-outs are per read, so the clock is checked too.

    NotSent if nothing left this machine; OutcomeUnknown for everything that fails after that.
    """
    sent_at, ends_at = datetime.now(UTC), time.monotonic() + seconds
    if seconds <= 0:
        raise NotSent("No time was left to make the call.")
    timeout = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds), pool=min(CONNECT_SECONDS, seconds))

    def so_far(status: int | None = None, received: bytes = b"") -> Exchange:
        return Exchange(path, body, status, received, sent_at, datetime.now(UTC))

    received, status = bytearray(), None
    try:
        with http.stream(
            "POST", url, content=body, headers=dict(headers), timeout=timeout, follow_redirects=False
        ) as response:
            status = response.status_code
            for chunk in response.iter_bytes():
                received += chunk
                if len(received) > LARGEST_BODY:
                    raise OutcomeUnknown("unreadable_answer", "The answer is too large.", exchange=so_far(status))
                if time.monotonic() > ends_at:
                    raise OutcomeUnknown(
                        "deadline", "The answer took too long.", exchange=so_far(status, bytes(received))
                    )
            return so_far(status, bytes(received)), response.headers
    except NOT_SENT as error:
        raise NotSent(f"No connection to FortiFlex: {type(error).__name__}.", exchange=so_far()) from error
    except httpx.TimeoutException as error:
        raise OutcomeUnknown(
            "timeout", "FortiFlex did not answer in time.", exchange=so_far(status, bytes(received))
        ) from error
    except httpx.HTTPError as error:
        message = f"The connection was lost: {type(error).__name__}."
        raise OutcomeUnknown("connection_lost", message, exchange=so_far(status, bytes(received))) from error
