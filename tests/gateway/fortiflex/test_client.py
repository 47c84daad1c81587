"""The client on real sockets and behind a mock transport: quirks decoded, failures told apart."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fortiflex import wire
from gateway.fortiflex.auth import log_in
from gateway.fortiflex.client import FortiFlexClient
from gateway.fortiflex.connecting import FreshConnections
from gateway.fortiflex.days import billing_day_at, days_between, month_bounds, parse_wire_day, parse_wire_time
from gateway.fortiflex.errors import (
    FortiFlexError,
    LoginFailed,
    LoginRefused,
    NotDone,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    TokenRejected,
)
from gateway.fortiflex.exchanging import exchange
from gateway.fortiflex.session import DirectSession
from gateway.sandbox.application import dump

API, AUTH = "http://fortiflex.test/ES/api/fortiflex/v2", "http://fortiflex.test/api/v1/oauth/token/"
ENTITLEMENT = {
    "serialNumber": "FGVMMLTM26000001",
    "configId": "42764",
    "accountId": 1,
    "description": None,
    "startDate": "2025-08-06T10:36:29.723",
    "endDate": "2025-08-07T15:04:32.6531463-07:00",
    "status": "SOMETHING_NEW",
    "token": None,
    "tokenStatus": None,
    "brandNew": {"x": 1},
}


def client_answering(answer: Callable[[httpx.Request], httpx.Response]) -> FortiFlexClient:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token/"):
            return httpx.Response(200, json={"access_token": "t1", "expires_in": 3660, "status": "success"})
        return answer(request)

    http = httpx.MockTransport(handle)
    return FortiFlexClient(http, API, DirectSession(http, AUTH, "user", "password", call_seconds=2))


def envelope(**payload: Any) -> bytes:
    return dump({"status": 0, "message": "Request processed successfully.", "error": None, **payload})


def answering(body: bytes, http_status: int = 200, **headers: str) -> FortiFlexClient:
    return client_answering(lambda _: httpx.Response(http_status, content=body, headers=headers))


def test_an_entitlement_is_decoded_with_all_its_oddities() -> None:
    found = answering(envelope(entitlements=[ENTITLEMENT])).list_entitlements(config_id=1).value[0]
    assert (found.config_id, found.description, found.status, found.token) == (42764, "", "SOMETHING_NEW", None)
    assert (found.start_day, found.end_day) == (date(2025, 8, 6), date(2025, 8, 7))
    assert found.raw["brandNew"] == {"x": 1}


@pytest.mark.parametrize(
    "payload",
    [
        {"entitlements": [ENTITLEMENT]},
        {"vms": [ENTITLEMENT]},
        {"entitlements": ENTITLEMENT},
        {"entitlements": None, "vms": [ENTITLEMENT]},
    ],
)
def test_a_list_comes_under_either_key_and_in_either_shape(payload: dict[str, Any]) -> None:
    assert answering(envelope(**payload)).stop_entitlement("x").value[0].serial_number == "FGVMMLTM26000001"


def test_null_is_an_empty_list_but_no_answer_to_a_write() -> None:
    assert answering(envelope(entitlements=None)).list_entitlements(config_id=1).value == []
    with pytest.raises(OutcomeUnknown) as caught:
        answering(envelope(entitlements=None)).create_vm_entitlements(config_id=1, count=1, description="")
    assert caught.value.reason == "unreadable_answer"


@pytest.mark.parametrize(
    ("http_status", "body", "error"),
    [
        (400, {"status": -1, "message": "Invalid. Parameter id 43", "error": None}, Rejected),
        (200, {"status": -1, "message": "Authorization denied"}, Rejected),
        (500, {"status": -1, "message": "Invalid security token."}, TokenRejected),
        (200, {"status": -1, "message": "Invalid security token."}, TokenRejected),
        (429, {"status": -1, "message": "slow down"}, RateLimited),
        (400, {"status": -11, "message": "hour"}, RateLimited),
        (400, {"status": -30, "message": "errors"}, RateLimited),
        (503, {"status": -1, "message": "busy"}, OutcomeUnknown),
        (302, {"status": 0}, OutcomeUnknown),
        (200, {"message": "no status"}, OutcomeUnknown),
    ],
)
def test_every_envelope_is_done_not_done_or_unknown(
    http_status: int, body: dict[str, Any], error: type[FortiFlexError]
) -> None:
    with pytest.raises(error) as caught:
        answering(dump(body), http_status).list_programs()
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("http_status", "body", "error"),
    [
        (200, b"<html>", OutcomeUnknown),
        (200, b"", OutcomeUnknown),
        (200, b'{"status": 0, "progr', OutcomeUnknown),
        (200, b"[]", OutcomeUnknown),
        (200, b'{"status": 0, "programs": [1e99999999999999999999]}', OutcomeUnknown),
        (502, b"<html>", OutcomeUnknown),
        (404, b"<html>", NotDone),
        (401, b"", NotDone),
        (429, b"<html>", RateLimited),
    ],
)
def test_html_empty_and_cut_off_bodies_are_answers_too(
    http_status: int, body: bytes, error: type[FortiFlexError]
) -> None:
    with pytest.raises(error) as caught:
        answering(body, http_status).list_programs()
    assert type(caught.value) is error


def test_a_refused_token_is_renewed_and_the_call_made_once_more() -> None:
    logins, calls = [], []

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token/"):
            logins.append(1)
            return httpx.Response(200, json={"access_token": f"t{len(logins)}"})
        calls.append(request.headers["Authorization"])
        if len(calls) < 2:
            return httpx.Response(401, json={"status": -1, "message": "Invalid security token."})
        return httpx.Response(200, content=envelope(programs=[]))

    http = httpx.MockTransport(handle)
    client = FortiFlexClient(http, API, DirectSession(http, AUTH, "user", "password"))
    assert client.list_programs().value == []
    assert calls == ["Bearer t1", "Bearer t2"]


def test_a_parameter_is_named_and_multi_values_repeat_their_id() -> None:
    sent: list[dict[str, Any]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(wire.decode_object(request.read()))
        return httpx.Response(
            400, json={"status": -1, "message": "Invalid value. Parameter id 43", "error": {"errorCode": 7}}
        )

    from gateway.fortiflex.records import ConfigParameter

    parameters = [ConfigParameter(43, "A"), ConfigParameter(43, "B")]
    with pytest.raises(Rejected) as caught:
        client_answering(handle).create_config(program_serial="P", name="n", product_type_id=1, parameters=parameters)
    assert (caught.value.parameter_id, caught.value.error_code) == (43, "7")
    assert sent[0]["parameters"] == [{"id": 43, "value": "A"}, {"id": 43, "value": "B"}]


@pytest.mark.parametrize("failure", [httpx.ConnectError("x"), httpx.ReadError("x"), httpx.ReadTimeout("x")])
def test_no_error_of_a_login_carries_the_password(failure: httpx.HTTPError) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise failure

    with pytest.raises(NotDone) as caught:
        log_in(httpx.MockTransport(handle), AUTH, username="u", password="S3CRET")
    assert caught.value.exchange is None
    assert caught.value.__cause__ is None
    assert "S3CRET" not in repr(caught.value) + str(caught.value)


def test_a_wrong_password_is_refused_by_type() -> None:
    body = {"error": "invalid_grant", "error_description": "Invalid credentials given."}
    http = httpx.MockTransport(lambda _: httpx.Response(400, json=body))
    with pytest.raises(LoginRefused):
        log_in(http, AUTH, username="u", password="p")


@pytest.mark.parametrize("http_status", [429, 503])
def test_a_busy_token_endpoint_is_no_wrong_password(http_status: int) -> None:
    http = httpx.MockTransport(lambda _: httpx.Response(http_status, json={"error": "temporarily_unavailable"}))
    with pytest.raises(NotDone) as caught:
        log_in(http, AUTH, username="u", password="p")
    assert type(caught.value) is LoginFailed


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=0, max_value=10**9))
def test_points_survive_to_the_last_digit(points: Decimal) -> None:
    body = envelope(entitlements=[{"serialNumber": "S", "accountId": 1, "points": points}])
    found = wire.read_points(wire.read_list(wire.decode_object(body), "entitlements")[0])
    assert found.points == points


@pytest.mark.parametrize(
    "text",
    [
        "2025-08-06T10:36:29.723",
        "2025-08-06T10:36:29.03",
        "2025-08-06 10:12:25",
        "2025-08-06",
        "2025-08-06T00:00:00",
        "2025-08-06T15:04:32.6531463-07:00",
        "2025-08-07T02:00:00Z",
        "2025-08-06T10:36",
    ],
)
def test_every_form_of_a_date_is_the_same_pacific_day(text: str) -> None:
    assert parse_wire_day(text) == date(2025, 8, 6)


def test_days_are_pacific_days() -> None:
    assert billing_day_at(datetime(2026, 1, 1, 7, 59, tzinfo=UTC)) == date(2025, 12, 31)
    assert billing_day_at(datetime(2026, 7, 1, 7, 0, tzinfo=UTC)) == date(2026, 7, 1)
    assert parse_wire_time("2026-03-08").utcoffset() is not None
    assert month_bounds("2028-02") == (date(2028, 2, 1), date(2028, 2, 29))
    assert len(list(days_between(date(2026, 2, 1), date(2026, 2, 28)))) == 28
    for nonsense in ("2026-13", "26-01", "9999-12", "2026-1"):
        with pytest.raises(ValueError, match="month"):
            month_bounds(nonsense)


# --- real sockets ---


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A one-connection-at-a-time server that answers logins itself and leaves the calls to `serve`."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                request = connection.recv(65536)
                if b"/token/" in request:
                    body = b'{"access_token": "t"}'
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                else:
                    try:
                        serve(connection)
                    except OSError:
                        continue

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        thread.join()
        listener.close()


def call(url: str, *, seconds: float) -> tuple[FortiFlexError, float]:
    with FreshConnections() as http:
        session = DirectSession(http, f"{url}/api/v1/oauth/token/", "u", "p", call_seconds=seconds)
        started = time.monotonic()
        with pytest.raises(FortiFlexError) as caught:
            FortiFlexClient(http, f"{url}/ES/api/fortiflex/v2", session).list_programs()
        return caught.value, time.monotonic() - started


def dribble_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(30):
        connection.sendall(b" ")
        time.sleep(0.1)


def dribble_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(30):
        connection.sendall(b"a")
        time.sleep(0.1)


@pytest.mark.parametrize("serve", [dribble_body, dribble_headers])
def test_a_peer_that_dribbles_is_cut_at_the_total_deadline(serve: Callable[[socket.socket], None]) -> None:
    with server(serve) as url:
        error, took = call(url, seconds=0.6)
    assert isinstance(error, OutcomeUnknown)
    assert error.reason == "deadline"
    assert took < 2


def test_a_cut_connection_is_unknown() -> None:
    with server(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")) as url:
        error, _ = call(url, seconds=5)
    assert isinstance(error, OutcomeUnknown)
    assert error.reason == "connection_lost"


def test_a_refused_connection_was_never_sent() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    error, _ = call(f"http://127.0.0.1:{port}", seconds=5)
    assert isinstance(error, NotSent)


def test_a_name_that_takes_longer_to_look_up_than_the_whole_deadline_sends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing can cut a look-up; so what begins after it must not begin any more."""
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        listening.settimeout(3)
        real = socket.getaddrinfo

        def slow(*args: Any, **kwargs: Any) -> Any:
            time.sleep(0.6)
            return real(*args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        with FreshConnections() as http, pytest.raises(NotSent):
            exchange(http, f"http://localhost:{port}/x", path="x", body=b"{}", headers={}, seconds=0.3)
        with contextlib.suppress(TimeoutError):
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(1)
                got.append(connection.recv(100))
    assert b"".join(got) == b""
