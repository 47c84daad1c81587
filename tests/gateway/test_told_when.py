"""When to come again is said as the gate will have it: who is told too early is turned away, and who is told too late waits for nothing."""

import httpx
import pytest

from gateway import upstream
from gateway.models import Operation
from gateway.provisioning.draining import drain_queue
from gateway.sandbox import SandboxTransport
from tenants import clock
from tenants.context import acting_as
from tests.people import SETUP, People
from tests.worlds import SandboxWorld


class Refusing(httpx.BaseTransport):
    """A FortiFlex that answers every creation with `status`."""

    def __init__(self, world: SandboxWorld, status: int) -> None:
        self._sandbox, self._status = SandboxTransport(world.sandbox), status

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("entitlements/vm/create"):
            return httpx.Response(400, json={"status": self._status, "message": "too much"}, request=request)
        return self._sandbox.handle_request(request)


@pytest.fixture
def config(people: People, world: SandboxWorld) -> int:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    return world.config_id


@pytest.mark.parametrize(("status", "seconds"), [(-10, 60), (-11, 3600), (-12, 5), (-30, 3600)])
def test_who_met_fortiflexs_limit_and_who_meets_the_shut_gate_are_told_the_same(
    people: People, world: SandboxWorld, config: int, status: int, seconds: int
) -> None:
    upstream.install_transport(Refusing(world, status))
    answers = [people.acme.post("entitlements", {"config": config}, Prefer="wait=1") for _ in range(2)]
    assert [answer.json()["code"] for answer in answers] == ["upstream_busy"] * 2
    first, second = (int(answer.headers["Retry-After"]) for answer in answers)
    assert first == seconds
    assert seconds - 2 <= second <= seconds + 1


def test_what_nobody_waits_for_looks_at_the_gate_again_soon(people: People, world: SandboxWorld, config: int) -> None:
    """The gate holds it back as long as it must; one that a person opens is open at once."""
    people.acme.post("entitlements", {"config": config}, Prefer="respond-async")
    upstream.install_transport(Refusing(world, -11))
    drain_queue(world.api_user, seconds=3, wait_seconds=1)
    with acting_as(SETUP):
        row = Operation.objects.get()
    assert row.state == "planned"
    assert row.next_check_at is not None
    assert (row.next_check_at - clock.now()).total_seconds() <= 60
