"""What the gateway adds to a write, and what writes that wait do to reads: over HTTP, a sandbox with 100 ms latency on loopback."""

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.models import Config, ConfigOffer
from gateway.sandbox import SandboxServer, serve_sandbox
from tenants.context import acting_as
from tests.databases import OwnDatabase
from tests.end_to_end.processes import add_user_of, calls_of, wait_for, web
from tests.people import SETUP, People, make_people
from tests.worlds import ACCOUNT, ENT_2, PROGRAM, make_sandbox

LATENCY_MS = 100


@pytest.fixture
def server(own_database: OwnDatabase) -> Iterator[SandboxServer]:
    sandbox = make_sandbox()
    sandbox.create_config(program=PROGRAM, name="c", product_type_id=1, parameters=ENT_2, account_id=ACCOUNT)
    running = serve_sandbox(sandbox)
    yield running
    running.close()


@pytest.fixture
def acme(own_database: OwnDatabase, server: SandboxServer, tmp_path: Path) -> Iterator[httpx.Client]:
    people = make_people()
    add_user_of(server)
    with acting_as(SETUP):
        ConfigOffer.objects.create(config=Config.objects.get(), tenant=People.tenant("acme"))
    header = {"Authorization": f"Bearer {people.acme.token}"}
    with (
        web(own_database, tmp_path / "web", FLEXGATE_WAITING_THREADS="16", FLEXGATE_LOG_LEVEL="WARNING") as base,
        httpx.Client(base_url=f"{base}/api/v1/", headers=header, timeout=60) as client,
    ):
        yield client


@pytest.fixture
def config(acme: httpx.Client) -> int:
    with acting_as(SETUP):
        return Config.objects.get().id


def create(client: httpx.Client, config: int, **headers: str) -> httpx.Response:
    return client.post("entitlements", json={"config": config, "count": 1}, headers=headers)


def milliseconds_of(work: Any, *, times: int) -> list[float]:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append((time.perf_counter() - started) * 1000)
    return found


def test_a_proxied_create_against_the_same_call_made_straight(
    acme: httpx.Client, server: SandboxServer, config: int
) -> None:
    assert create(acme, config).status_code == 201  # priced, logged in
    server.sandbox.settings.latency_ms = LATENCY_MS
    login = {"username": "user", "password": "password", "client_id": "flexvm", "grant_type": "password"}
    body = {"configId": config, "count": 1, "description": "straight"}
    ours, straight = [], []
    with httpx.Client() as http:
        for _ in range(100):  # in turn, so that both see the same machine, and long enough for its moods to pass
            token = server.sandbox.world.api_users[0].access_token or http.post(server.auth_url, json=login).json()
            headers = {"Authorization": f"Bearer {token}"}
            url = f"{server.api_url}/entitlements/vm/create"
            straight += milliseconds_of(lambda: http.post(url, json=body, headers=headers), times=1)  # noqa: B023
            ours += milliseconds_of(lambda: acme.post("entitlements", json={"config": config, "count": 1}), times=1)
    ratio = statistics.median(ours) / statistics.median(straight)
    print(f"\na proxied create: {ratio:.2f} × straight (at most 1.15), {statistics.median(ours):.0f} ms")  # noqa: T201
    assert ratio <= 1.15


def test_reads_while_64_writes_are_open(acme: httpx.Client, server: SandboxServer, config: int) -> None:
    assert create(acme, config).status_code == 201
    server.sandbox.settings.latency_ms = LATENCY_MS

    def read() -> None:
        assert acme.get("entitlements?limit=100").status_code == 200

    # First of all every thread of the process with its connection: what is compared is one process.
    with ThreadPoolExecutor(64) as pool:
        list(pool.map(lambda _: read(), range(10 * 64)))
    idle = milliseconds_of(read, times=200)
    server.sandbox.plan_fault("entitlements/vm/create", "timeout", when="after")
    with ThreadPoolExecutor(64) as pool:
        writes = [pool.submit(create, acme, config, Prefer="wait=40") for _ in range(64)]
        wait_for(lambda: sum(write.done() for write in writes) >= 64 - 16, seconds=30)
        assert calls_of(server, "entitlements/vm/create") == 2, "one hangs, the rest is queued"
        busy = milliseconds_of(read, times=200)
        assert sum(not write.done() for write in writes) == 12, (
            "what one tenant may have of sixteen places; the others got 202"
        )
        server.close()
    idle += milliseconds_of(read, times=200)  # on both sides, for the machine has moods
    median = statistics.median(busy) / statistics.median(idle)
    p95 = statistics.quantiles(busy, n=20)[-1] / statistics.quantiles(idle, n=20)[-1]
    print(f"\nreads with 64 writes open: median {median:.2f} × idle (at most 1.5), p95 {p95:.2f} × (at most 2)")  # noqa: T201
    assert median <= 1.5
    assert p95 <= 2
