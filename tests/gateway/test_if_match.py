"""If-Match holds when the change is made, and not only when it was looked at: of two at once that saw the same, one is told so."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from django.db import connection, connections

from gateway import upstream
from gateway.models import Config, Entitlement
from gateway.sandbox import SandboxTransport
from tenants.context import acting_as
from tenants.models import Tenant
from tests.people import SETUP, People, make_people
from tests.worlds import PROGRAM, SandboxWorld, make_world

SIZE = [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}]
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


def make_vm(people: People, config: int) -> str:
    made = people.acme.post("entitlements", {"config": config, "skip_pending": True}).json()
    return str(made["entitlements"][0]["serial_number"])


def wait_for_waiting(number: int) -> None:
    for _ in range(200):
        with acting_as(SETUP), connection.cursor() as cursor:
            cursor.execute(WAITING)
            if cursor.fetchone()[0] >= number:
                return
        threading.Event().wait(0.05)
    raise AssertionError("Nobody waits for the row.")


def test_of_two_changes_of_labels_at_once_one_is_refused(own_database: object) -> None:
    people = make_people()
    world = make_world()
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    path = f"entitlements/{make_vm(people, world.config_id)}"
    seen = people.acme.get(path)["ETag"]

    def label(name: str) -> Any:
        try:
            return people.acme.patch(path, {"labels": {name: "x"}}, If_Match=seen)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        with acting_as(SETUP):
            Entitlement.objects.select_for_update().get()
            asked = [pool.submit(label, name) for name in ("a", "b")]
            wait_for_waiting(2)
        answers = [future.result() for future in asked]
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    [kept] = [answer.json()["labels"] for answer in answers if answer.status_code == 200]
    assert people.acme.get(path).json()["labels"] == kept


class During(httpx.BaseTransport):
    """Does something while FortiFlex is asked for a price, once."""

    def __init__(self, world: SandboxWorld, action: Callable[[], object]) -> None:
        self._sandbox, self._actions = SandboxTransport(world.sandbox), [action]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("tools/calc") and self._actions:
            self._actions.pop()()
        return self._sandbox.handle_request(request)


def test_a_config_that_was_renamed_while_its_new_size_was_priced_is_not_resized(
    people: People, world: SandboxWorld
) -> None:
    body = {"program": PROGRAM, "name": "mine", "product_type_id": 1, "parameters": SIZE}
    path = f"configs/{people.acme.post('configs', body).json()['config']['id']}"
    with acting_as(SETUP):
        Tenant.objects.filter(slug="acme").update(limits={"points_per_day": "100"})
    seen = people.acme.get(path)["ETag"]

    def rename() -> None:
        with acting_as(SETUP):
            Config.objects.filter(name="mine").update(name="renamed")

    upstream.install_transport(During(world, rename))
    answer = people.acme.patch(path, {"parameters": [{"id": 1, "value": "4"}]}, If_Match=seen)
    assert (answer.status_code, world.calls_of("configs/update")) == (412, [])
