"""The sandbox on a real socket, through the gateway's own client: login, limits, faults."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from gateway.fortiflex.client import FortiFlexClient
from gateway.fortiflex.connecting import FreshConnections
from gateway.fortiflex.errors import NotDone, OutcomeUnknown, RateLimited
from gateway.fortiflex.session import DirectSession
from gateway.sandbox import Sandbox, SandboxServer, serve_sandbox
from gateway.sandbox.faults import KINDS, Kind
from tests.worlds import make_sandbox


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    running = serve_sandbox(make_sandbox())
    yield running
    running.close()


@pytest.fixture
def wire() -> Iterator[FreshConnections]:
    with FreshConnections() as transport:
        yield transport


def client_of(server: SandboxServer, wire: FreshConnections, *, seconds: float = 5) -> FortiFlexClient:
    session = DirectSession(wire, server.auth_url, "user", "password", call_seconds=seconds)
    return FortiFlexClient(wire, server.api_url, session)


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


def test_a_second_login_ends_the_first_token(server: SandboxServer, http: httpx.Client) -> None:
    def log_in() -> str:
        body = {"username": "user", "password": "password", "client_id": "flexvm", "grant_type": "password"}
        return str(http.post(server.auth_url, json=body).json()["access_token"])

    first, second = log_in(), log_in()
    for token, status in ((first, -1), (second, 0)):
        answer = http.post(f"{server.api_url}/programs/list", headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["status"] == status
    form = {"username": "user", "password": "wrong", "client_id": "flexvm", "grant_type": "password"}
    refused = http.post(server.auth_url, data=form)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_an_answer_leaves_in_one_piece(server: SandboxServer) -> None:
    """In two, a client that keeps its connection waits 40 ms for the second, again and again."""
    address = httpx.URL(server.url)
    request = b"POST /ES/api/fortiflex/v2/programs/list HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        for _ in range(5):
            connection.sendall(request)
            head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 ")
            assert body.endswith(b"}")


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_is_real_on_the_socket(server: SandboxServer, wire: FreshConnections, kind: Kind) -> None:
    client = client_of(server, wire, seconds=1)
    assert len(client.list_programs().value) == 1
    server.sandbox.plan_fault("programs/list", kind)
    wanted = RateLimited if kind == "http_429" else OutcomeUnknown
    with pytest.raises(wanted):
        client.list_programs()
    assert len(client.list_programs().value) == 1


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_before_and_after_are_about_the_work(
    server: SandboxServer, wire: FreshConnections, when: str, made: int
) -> None:
    client = client_of(server, wire)
    program = client.list_programs().value[0]
    from tests.worlds import ENT_2

    config = server.sandbox.create_config(
        program=program.serial_number, name="c", product_type_id=1, parameters=ENT_2, account_id=program.account_id
    )
    server.sandbox.plan_fault("entitlements/vm/create", "cut", when=when)  # type: ignore[arg-type]
    with pytest.raises(OutcomeUnknown):
        client.create_vm_entitlements(config_id=config["id"], count=1, description="x")
    assert len(server.sandbox.entitlements()) == made


@pytest.mark.parametrize(("settings", "status"), [({"per_minute": 2}, -10), ({"per_hour": 2}, -11)])
def test_limits_answer_with_their_own_status(
    server: SandboxServer, wire: FreshConnections, settings: dict[str, int], status: int
) -> None:
    for name, value in settings.items():
        setattr(server.sandbox.settings, name, value)
    client = client_of(server, wire)
    client.list_programs()
    client.list_programs()
    with pytest.raises(RateLimited) as caught:
        client.list_programs()
    assert caught.value.status == status


def test_too_many_errors_close_the_door(server: SandboxServer, wire: FreshConnections) -> None:
    server.sandbox.settings.errors_per_hour = 2
    client = client_of(server, wire)
    for _ in range(2):
        with pytest.raises(NotDone):
            client.list_configs("no such program")
    with pytest.raises(RateLimited) as caught:
        client.list_programs()
    assert caught.value.status == -30


def test_the_control_surface_drives_it_from_another_process(server: SandboxServer, http: httpx.Client) -> None:
    set_to = http.post(f"{server.url}/sandbox/clock", json={"set": "2027-01-01T00:00:00+00:00"}).json()
    assert set_to == {"now": "2027-01-01T00:00:00+00:00"}
    assert http.post(f"{server.url}/sandbox/faults", json={"path": "x", "kind": "nonsense"}).status_code == 400
    assert "clock" in http.post(f"{server.url}/sandbox/nonsense").json()["error"]
    assert isinstance(server.sandbox, Sandbox)
