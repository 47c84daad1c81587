"""The walls around real processes: what is revoked in one is refused in the other; slow and strange clients; planted secrets."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.databases import OwnDatabase
from tests.end_to_end.processes import web
from tests.people import make_client, make_people


@pytest.fixture
def two(own_database: OwnDatabase, tmp_path: Path) -> Iterator[list[httpx.Client]]:
    with ExitStack() as stack:
        bases = [stack.enter_context(web(own_database, tmp_path / f"web{n}")) for n in range(2)]
        yield [stack.enter_context(httpx.Client(base_url=f"{base}/api/v1/", timeout=20)) for base in bases]


def test_what_ends_in_one_process_is_refused_in_the_other_at_the_next_request(two: list[httpx.Client]) -> None:
    people = make_people()
    first, second = two
    header = {"Authorization": f"Bearer {people.acme.token}"}
    operator = {"Authorization": f"Bearer {people.operator.token}"}
    child = first.post("tenants/acme/tokens", json={"name": "child"}, headers=header).json()
    childs = {"Authorization": f"Bearer {child['token']}"}
    assert [client.get("whoami", headers=own).status_code for client in two for own in (header, childs)] == [200] * 4
    assert first.delete(f"tenants/acme/tokens/{people.acme.row.id}", headers=operator).status_code == 204  # type: ignore[union-attr]
    assert [second.get("whoami", headers=own).status_code for own in (header, childs)] == [401, 401]
    other = {"Authorization": f"Bearer {make_client(slug='acme').token}"}
    assert second.get("whoami", headers=other).status_code == 200
    first.patch("tenants/acme", json={"status": "suspended"}, headers=operator)
    assert second.get("whoami", headers=other).status_code == 401
    first.patch("tenants/acme", json={"status": "active"}, headers=operator)
    assert second.get("whoami", headers=other).status_code == 200
    first.delete("tenants/acme/tokens", headers=operator)
    assert second.get("whoami", headers=other).status_code == 401


def test_one_rate_is_shared_by_both_processes(two: list[httpx.Client]) -> None:
    people = make_people()
    operator = {"Authorization": f"Bearer {people.operator.token}"}
    header = {"Authorization": f"Bearer {people.acme.token}"}
    two[0].patch("tenants/acme", json={"limits": {"requests_per_minute": 6}}, headers=operator)
    codes = [two[n % 2].get("whoami", headers=header).status_code for n in range(8)]
    assert codes == [200] * 6 + [429] * 2


def test_strangers_who_never_end_their_forms_lock_nobody_out_of_the_admin(two: list[httpx.Client]) -> None:
    """From one address: others sign in, and the API goes on."""
    make_people()
    port = two[0].base_url.port or 0
    with ExitStack() as stack:
        for _ in range(30):
            dribbler = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            head = (
                "POST /admin/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            )
            dribbler.sendall(f"{head}Content-Length: 5000\r\n\r\na".encode())
        time.sleep(1)
        page = httpx.get(f"http://127.0.0.1:{port}/admin/login/", timeout=5)
        form = {"username": "x", "password": "y", "csrfmiddlewaretoken": page.cookies["flexgate_csrf"]}
        answer = httpx.post(f"http://127.0.0.1:{port}/admin/login/", data=form, cookies=page.cookies, timeout=5)
        assert answer.status_code == 429, "the dribbler's own address waits"
        assert two[0].get("whoami", headers={"Authorization": "Bearer x"}, timeout=5).status_code == 401


def test_clients_that_dribble_hold_up_nobody(two: list[httpx.Client]) -> None:
    """More of them than there are threads: some with half a header, some with half a body."""
    people = make_people()
    header = {"Authorization": f"Bearer {people.acme.token}"}
    port = two[0].base_url.port or 0
    with ExitStack() as stack:
        for n in range(200):
            dribbler = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            dribbler.sendall(b"POST /api/v1/estimates HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            if n % 2:
                dribbler.sendall(f"Authorization: Bearer {people.acme.token}\r\n".encode())
                dribbler.sendall(b"Content-Length: 1000\r\nContent-Type: application/json\r\n\r\n{")
        time.sleep(1)
        assert two[0].get("whoami", headers=header, timeout=5).status_code == 200
