"""An API user that is switched off while something is under way through it: nothing more is sent, and nothing waits for ever."""

from collections.abc import Callable

import httpx
import pytest

from gateway import upstream
from gateway.credentials import ApiUserFields, save_api_user
from gateway.models import Operation
from gateway.provisioning.draining import drain_queue
from gateway.reconciliation import reconcile_operations
from gateway.sandbox import SandboxTransport
from tenants.context import acting_as
from tests.people import SETUP, People
from tests.worlds import SandboxWorld


class During(httpx.BaseTransport):
    """Does something while FortiFlex is asked for `path`, once."""

    def __init__(self, world: SandboxWorld, path: str, action: Callable[[], object]) -> None:
        self._sandbox, self._path, self._actions = SandboxTransport(world.sandbox), path, [action]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(self._path) and self._actions:
            self._actions.pop()()
        return self._sandbox.handle_request(request)


def switch_off() -> None:
    save_api_user(SETUP, name="main", fields=ApiUserFields(enabled=False))


def outcomes() -> list[tuple[str, str, str | None]]:
    with acting_as(SETUP):
        return [(row.kind, row.state, (row.error or {}).get("code")) for row in Operation.objects.order_by("id")]


@pytest.fixture
def config(people: People, world: SandboxWorld) -> int:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    return world.config_id


def test_what_comes_back_to_the_queue_after_that_ends(people: People, world: SandboxWorld, config: int) -> None:
    people.acme.post("entitlements", {"config": config}, Prefer="respond-async")
    world.sandbox.plan_fault("entitlements/vm/create", "http_429")
    upstream.install_transport(During(world, "vm/create", switch_off))
    drain_queue(world.api_user, seconds=3, wait_seconds=1)
    reconcile_operations()
    assert outcomes() == [("create_vm", "failed", "upstream_unavailable")]


def test_a_second_half_is_not_sent(people: People, world: SandboxWorld, config: int) -> None:
    made = people.acme.post("entitlements", {"config": config, "count": 2, "skip_pending": True}).json()
    upstream.install_transport(During(world, "configs/create", switch_off))
    path = f"entitlements/{made['entitlements'][0]['serial_number']}"
    answer = people.acme.patch(path, {"parameters": [{"id": 1, "value": "4"}]})
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")
    assert outcomes()[1:] == [
        ("create_config", "succeeded", None),
        ("update_entitlement", "failed", "upstream_unavailable"),
    ]
    assert world.calls_of("entitlements/update") == []


def test_a_creation_that_was_being_priced_is_not_sent(people: People, world: SandboxWorld, config: int) -> None:
    upstream.install_transport(During(world, "tools/calc", switch_off))
    answer = people.acme.post("entitlements", {"config": config})
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")
    assert world.calls_of("entitlements/vm/create") == []
