"""Writes through real web processes: one key, one operation, over processes; what takes long goes on by itself."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.models import ApiUser, Assignment, Config, ConfigOffer, Operation
from gateway.provisioning.draining import drain_queue
from gateway.sandbox import SandboxServer, serve_sandbox
from gateway.tags import split_tag
from tenants.context import acting_as
from tests.databases import OwnDatabase
from tests.end_to_end.processes import add_user_of, calls_of, start_python, wait_for, web
from tests.people import SETUP, People, make_people
from tests.worlds import ACCOUNT, ENT_2, PROGRAM, make_sandbox

ANSWER = httpx.Timeout(40)


@pytest.fixture
def server(own_database: OwnDatabase) -> Iterator[SandboxServer]:
    sandbox = make_sandbox()
    sandbox.create_config(program=PROGRAM, name="c", product_type_id=1, parameters=ENT_2, account_id=ACCOUNT)
    running = serve_sandbox(sandbox)
    yield running
    running.close()


@pytest.fixture
def people(server: SandboxServer) -> People:
    found = make_people()
    add_user_of(server)
    with acting_as(SETUP):
        for slug in ("acme", "globex"):
            ConfigOffer.objects.create(config=Config.objects.get(), tenant=People.tenant(slug))
    return found


@pytest.fixture
def gateways(own_database: OwnDatabase, people: People, tmp_path: Path) -> Iterator[list[httpx.Client]]:
    with ExitStack() as stack:
        bases = [
            stack.enter_context(web(own_database, tmp_path / f"web{n}", FLEXGATE_WAITING_THREADS="16"))
            for n in range(2)
        ]
        yield [stack.enter_context(httpx.Client(base_url=f"{base}/api/v1/", timeout=ANSWER)) for base in bases]


@pytest.fixture
def config(people: People) -> int:
    with acting_as(SETUP):
        return Config.objects.get().id


def create(client: httpx.Client, people: People, config: int, **headers: str) -> httpx.Response:
    return client.post("entitlements", json={"config": config, "count": 1}, headers=as_acme(people) | headers)


def as_acme(people: People) -> dict[str, str]:
    return {"Authorization": f"Bearer {people.acme.token}"}


def test_of_200_creates_with_doubled_keys_on_two_gateways_exactly_the_distinct_ones_exist(
    gateways: list[httpx.Client], people: People, server: SandboxServer, config: int
) -> None:
    with acting_as(SETUP):
        api_user = ApiUser.objects.get()

    def one(n: int) -> tuple[str, int, dict[str, Any]]:
        key = f"deploy-{n % 80}"
        answer = gateways[n % 3 % 2].post(
            "entitlements",
            json={"config": config, "count": 1, "description": key},
            headers=as_acme(people) | {"Idempotency-Key": key, "Prefer": "wait=10"},
        )
        return key, answer.status_code, answer.json()

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(one, range(200)))
    assert {code for _, code, _ in answers} <= {201, 202}, Counter(code for _, code, _ in answers)
    operations = {key: set() for key, _, _ in answers}
    for key, _, body in answers:
        operations[key].add(body["operation"]["id"])
    assert all(len(found) == 1 for found in operations.values()), "one key led to two operations"
    while drain_queue(api_user, seconds=60):
        pass
    wait_for(lambda: not unsettled(), seconds=60)
    texts = sorted(split_tag(item["description"])[0] for item in server.sandbox.entitlements())
    assert texts == sorted(operations), "an entitlement is missing, or exists twice"
    assert calls_of(server, "entitlements/vm/create") == 80
    with acting_as(SETUP):
        assert Assignment.objects.filter(tenant__slug="acme").count() == 80


def unsettled() -> bool:
    with acting_as(SETUP):
        return Operation.objects.exclude(state__in=["succeeded", "failed"]).exists()


def test_a_request_that_takes_too_long_becomes_a_202_and_its_write_goes_on(
    gateways: list[httpx.Client], people: People, server: SandboxServer, config: int
) -> None:
    assert create(gateways[0], people, config).status_code == 201  # logged in, priced
    server.sandbox.settings.latency_ms = 3000
    started = time.monotonic()
    answer = create(gateways[0], people, config, Prefer="wait=1")
    assert time.monotonic() - started < 2.8
    assert (answer.status_code, answer.json()["operation"]["state"]) == (202, "sent")
    path = answer.headers["Location"].removeprefix("/api/v1/")
    server.sandbox.settings.latency_ms = 0
    wait_for(lambda: gateways[1].get(path, headers=as_acme(people)).json()["state"] == "succeeded", seconds=10)
    assert calls_of(server, "entitlements/vm/create") == 2


def test_behind_a_hanging_call_writes_wait_in_few_threads_and_reads_answer(
    gateways: list[httpx.Client], people: People, server: SandboxServer, config: int
) -> None:
    assert create(gateways[0], people, config).status_code == 201
    server.sandbox.plan_fault("entitlements/vm/create", "timeout", when="after")
    with ThreadPoolExecutor(64) as pool:
        started = time.monotonic()
        writes = [pool.submit(create, gateways[0], people, config, Prefer="wait=15") for _ in range(64)]
        wait_for(lambda: sum(write.done() for write in writes) >= 64 - 16, seconds=13)
        queued = [write.result() for write in writes if write.done()]
        assert time.monotonic() - started < 14, "more than a quarter of the threads wait"
        assert {answer.status_code for answer in queued} == {202}
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in queued)
        positions = sorted(answer.json()["operation"]["position"] for answer in queued)
        assert positions[-1] >= len(queued) - 1
        for _ in range(10):
            assert gateways[0].get("entitlements", headers=as_acme(people)).status_code == 200
        answers = [write.result() for write in writes]
        assert time.monotonic() - started < 25
    assert {answer.status_code for answer in answers} == {202}
    assert calls_of(server, "entitlements/vm/create") == 2, "something went past the hanging call"


def test_one_tenants_flood_leaves_the_others_write_within_two_positions(
    gateways: list[httpx.Client], people: People, server: SandboxServer, config: int
) -> None:
    assert create(gateways[0], people, config).status_code == 201
    server.sandbox.settings.latency_ms = 300
    with ThreadPoolExecutor(12) as pool:
        flood = [pool.submit(create, gateways[n % 2], people, config, Prefer="wait=20") for n in range(10)]
        wait_for(lambda: calls_of(server, "entitlements/vm/create") >= 2, seconds=20)
        before = calls_of(server, "entitlements/vm/create")
        header = {"Authorization": f"Bearer {people.globex.token}"}
        mine = gateways[1].post("entitlements", json={"config": config, "count": 1}, headers=header)
        after = calls_of(server, "entitlements/vm/create")
        assert mine.status_code == 201
        assert all(write.result().status_code == 201 for write in flood)
    assert after - before <= 3, f"globex was served after {after - before} calls"
    descriptions = [item["description"] for item in server.sandbox.entitlements()]
    assert sum(1 for text in descriptions if ":globex:" in text or "globex" in text) == 1


PRICE = """
from gateway.models import Config
from gateway.provisioning.estimates import points_of_config
from tenants.actors import system
from tenants.context import acting_as
with acting_as(system("test")):
    config = Config.objects.get()
print("PRICE", points_of_config(config))
"""


@pytest.mark.parametrize("size", ["4", "GONE"])
def test_a_price_is_asked_for_once_by_all_processes(
    own_database: OwnDatabase, people: People, server: SandboxServer, size: str
) -> None:
    """A refusal costs one of nine errors an hour, and not one for each process."""
    server.sandbox.settings.latency_ms = 300
    with acting_as(SETUP):
        Config.objects.update(parameters=[{"id": 1, "value": size}, {"id": 2, "value": "ENT"}])
    said = []
    for _ in range(2):  # at once, and when it is known
        children = [start_python(PRICE, own_database.environment) for _ in range(2)]
        said += [child.communicate(timeout=60)[0].rpartition("PRICE ")[2].strip() for child in children]
    assert [text.rstrip("0") for text in said] == ["None" if size == "GONE" else "12.91"] * 4
    assert calls_of(server, "tools/calc") == 1
