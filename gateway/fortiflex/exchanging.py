"""Put one request on the wire within a total deadline, and say precisely what came of it."""

import contextlib
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import httpx

from gateway.fortiflex.connecting import CONNECT_SECONDS
from gateway.fortiflex.errors import NotSent, OutcomeUnknown
from gateway.fortiflex.records import Exchange
from gateway.fortiflex.watchdog import WATCHDOG

LARGEST_BODY = 64 * 1024 * 1024
OURS = {"User-Agent": "flexgate", "Accept-Encoding": "gzip, deflate", "Connection": "close"}
# The request never left: no connection was made, or none was to be had.
NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
    UnicodeEncodeError,
)


class _OutOfTime(Exception):
    """The deadline passed before the request was sent, or while its answer was read."""


class _Deadline:
    """Cuts the connection when the time is up: httpx's time-outs are per read, and a peer that dribbles would never end."""

    def __init__(self, ends_at: float) -> None:
        self.passed, self._ends_at = False, ends_at
        self._socket: socket.socket | None = None

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore's trace callback: remember the newest socket of this request; begin nothing when the time is up.

        Looking a name up can't be cut: it may take longer than all of the deadline, and then nothing may be sent any more.
        """
        # The clock is asked too: a process that was stopped and goes on may be here before its watchdog.
        if event.endswith(".started") and (self.passed or time.monotonic() > self._ends_at):
            raise _OutOfTime
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            self._socket = info["return_value"].get_extra_info("socket")

    def cut(self) -> None:
        self.passed = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


_read_url = lru_cache(maxsize=256)(httpx.URL)  # the same few, again and again


def exchange(
    transport: httpx.BaseTransport, url: str, *, path: str, body: bytes, headers: Mapping[str, str], seconds: float
) -> tuple[Exchange, httpx.Headers]:
    """POST `body` and read the whole answer in at most `seconds`. `transport` = one with a connection for each request.

    By the transport itself: a client above it would add redirects, cookies and proxies, none of which may happen here.
    NotSent if nothing left this machine; OutcomeUnknown for everything that fails after that. A connection that was used before is
    never used: the other side may be closing it this moment, which would make a write's outcome unknown.
    """
    sent_at, ends_at = datetime.now(UTC), time.monotonic() + seconds
    if seconds <= 0:
        raise NotSent("No time was left to make the call.")
    timeout = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
    deadline, received, status = _Deadline(ends_at), bytearray(), None
    begun = False  # whether anything of the request can have left

    def watch(event: str, info: Mapping[str, Any]) -> None:
        nonlocal begun
        deadline.watch(event, info)
        begun = begun or event.endswith("send_request_headers.started")

    def so_far() -> Exchange:
        return Exchange(path, body, status, bytes(received), sent_at, datetime.now(UTC))

    try:
        request = httpx.Request(
            "POST",
            _read_url(url),
            content=body,
            headers={**OURS, **headers},
            extensions={"timeout": timeout.as_dict(), "trace": watch},
        )
        with (
            WATCHDOG.running(seconds, deadline.cut),
            contextlib.closing(transport.handle_request(request)) as response,
        ):
            status = response.status_code
            for chunk in response.iter_bytes():
                received += chunk
                if len(received) > LARGEST_BODY:
                    raise OutcomeUnknown("unreadable_answer", "The answer is too large.", exchange=so_far())
                if time.monotonic() > ends_at:
                    raise OutcomeUnknown("deadline", "The answer took too long.", exchange=so_far())
            return so_far(), response.headers
    except _OutOfTime as error:
        if not begun:
            raise NotSent("The time was up before a connection stood.", exchange=so_far()) from error
        raise OutcomeUnknown("deadline", "The answer took too long.", exchange=so_far()) from error
    except NOT_SENT as error:
        raise NotSent(f"No connection to FortiFlex: {type(error).__name__}.", exchange=so_far()) from error
    except httpx.TimeoutException as error:
        raise OutcomeUnknown("timeout", "FortiFlex did not answer in time.", exchange=so_far()) from error
    except httpx.DecodingError as error:
        raise OutcomeUnknown("unreadable_answer", "The answer could not be unpacked.", exchange=so_far()) from error
    except (httpx.HTTPError, OSError) as error:
        if deadline.passed:
            raise OutcomeUnknown("deadline", "The answer took too long.", exchange=so_far()) from error
        raise OutcomeUnknown(
            "connection_lost", f"The connection was lost: {type(error).__name__}.", exchange=so_far()
        ) from error
