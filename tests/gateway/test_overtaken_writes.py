"""What was planned before others came to depend on it, and what must not tell that somebody else has something."""

from typing import Any

import pytest

from gateway.days import today
from gateway.models import Operation, UpstreamCall
from gateway.provisioning.draining import drain_queue
from tenants import clock
from tenants.context import acting_as
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, ApiClient, People
from tests.worlds import PROGRAM, SandboxWorld

SIZE = [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}]
BIGGER = {"parameters": [{"id": 1, "value": "32"}]}
LATER = {"Prefer": "respond-async"}


def outcomes() -> list[tuple[str, str, str | None]]:
    with acting_as(SETUP):
        return [(row.kind, row.state, (row.error or {}).get("code")) for row in Operation.objects.order_by("id")]


@pytest.fixture
def own(people: People, world: SandboxWorld) -> tuple[int, str]:
    """A config of acme's own, and its one entitlement."""
    body = {"program": PROGRAM, "name": "mine", "product_type_id": 1, "parameters": SIZE}
    config = people.acme.post("configs", body).json()["config"]["id"]
    made = people.acme.post("entitlements", {"config": config, "skip_pending": True}).json()
    return config, made["entitlements"][0]["serial_number"]


def resize_config(who: ApiClient, config: int, serial: str) -> Any:
    return who.patch(f"configs/{config}", BIGGER, **LATER)


def disable_config(who: ApiClient, config: int, serial: str) -> Any:
    return who.post(f"configs/{config}/disable", **LATER)


def resize_entitlement(who: ApiClient, config: int, serial: str) -> Any:
    return who.patch(f"entitlements/{serial}", BIGGER, **LATER)


@pytest.mark.parametrize("change", [resize_config, disable_config, resize_entitlement])
def test_a_planned_change_of_a_config_ends_unsent_when_another_comes_under_it(
    people: People, world: SandboxWorld, own: tuple[int, str], change: Any
) -> None:
    config, serial = own
    assert change(people.acme, config, serial).status_code == 202
    body = {"serials": [serial], "tenant": "globex", "from_day": today().isoformat()}
    assert people.operator.post("assignments", body).status_code == 201

    drain_queue(world.api_user, seconds=5)

    shown = people.globex.get(f"configs/{config}").json()
    assert (shown["parameters"][0]["value"], shown["status"]) == ("2", "ACTIVE")
    assert [(state, code) for kind, state, code in outcomes() if "config" in kind][1:] == [("failed", "config_managed")]
    assert not world.calls_of("configs/update")
    assert not world.calls_of("configs/disable")


def test_the_same_change_goes_upstream_where_it_is_the_owners_alone_and_where_the_operator_asks(
    people: People, world: SandboxWorld, own: tuple[int, str]
) -> None:
    config, serial = own
    assert resize_config(people.acme, config, serial).status_code == 202
    drain_queue(world.api_user, seconds=5)
    assert people.acme.get(f"configs/{config}").json()["parameters"][0]["value"] == "32"
    assert disable_config(people.operator, config, serial).status_code == 202
    give([serial], "globex", today())
    drain_queue(world.api_user, seconds=5)
    assert people.operator.get(f"configs/{config}").json()["status"] == "DISABLED"


def test_a_copy_of_a_config_is_not_made_for_what_was_handed_over(people: People, world: SandboxWorld) -> None:
    """FortiFlex deletes no config."""
    for slug in ("acme", "globex"):
        people.operator.post(f"configs/{world.config_id}/offers", {"tenant": slug})
    made = people.acme.post("entitlements", {"config": world.config_id, "skip_pending": True}).json()
    serial = made["entitlements"][0]["serial_number"]
    assert people.acme.patch(f"entitlements/{serial}", BIGGER, **LATER).status_code == 202
    give([serial], "globex", today())

    # Nor does it stand in the new owner's way.
    assert people.globex.patch(f"entitlements/{serial}", {"description": "ours"}).status_code == 200
    drain_queue(world.api_user, seconds=5)

    assert ("create_config", "failed", "not_available") in outcomes()
    assert not world.calls_of("configs/create")


def test_nothing_is_handed_over_while_its_config_is_being_changed(
    people: People, world: SandboxWorld, own: tuple[int, str]
) -> None:
    config, serial = own
    assert resize_config(people.acme, config, serial).status_code == 202
    with acting_as(SETUP):
        Operation.objects.filter(state="planned").update(state="sent", sent_at=clock.now())
    body = {"serials": [serial], "tenant": "globex", "from_day": today().isoformat()}
    refused = people.operator.post("assignments", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "in_progress")
    assert people.acme.get(f"entitlements/{serial}").status_code == 200


def test_what_another_customer_has_and_what_fortiflex_refuses_can_not_be_told_apart_by_trying(
    people: People, world: SandboxWorld, settings: Any
) -> None:
    settings.FLEXGATE_ERRORS_PER_TENANT = 2
    hardware = world.add_config("hw", [(27, "FGT60F"), (28, "FGHWUTP")], product_type_id=101)
    cloud = world.add_config("cloud", [(32, "10"), (33, "1")], product_type_id=202)
    world.sync()
    for config in (hardware, cloud):
        for slug in ("acme", "globex"):
            people.operator.post(f"configs/{config}/offers", {"tenant": slug})
    taken = {"config": hardware, "serial_numbers": ["FGT60FTK20000001"]}
    assert people.acme.post("entitlements", taken).status_code == 201
    assert people.acme.post("entitlements", {"config": cloud}).status_code == 201
    # FortiFlex refuses this one, and the mirror does not know it.
    world.sandbox.call("entitlements/hardware/create", configId=hardware, serialNumbers=["FGT60FTK55555555"])
    refused = {"config": hardware, "serial_numbers": ["FGT60FTK55555555"]}

    def answers(body: Any) -> list[tuple[int, str]]:
        with acting_as(SETUP):
            UpstreamCall.objects.all().delete()
        return [
            (got.status_code, got.json()["code"])
            for got in (people.globex.post("entitlements", body) for _ in range(4))
        ]

    assert answers(refused) == [(409, "not_available")] * 2 + [(429, "rate_limited")] * 2
    assert answers(taken) == answers(refused)
    assert answers({"config": cloud}) == answers(refused)
