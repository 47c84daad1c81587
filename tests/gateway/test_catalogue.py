"""What the catalogue knows is checked before FortiFlex is asked: values, read-only parameters, and those that only rise."""

from typing import Any

import pytest

from gateway import catalogue
from gateway.models import Config, ProductCatalogue
from tenants.context import acting_as
from tests.people import SETUP, People
from tests.worlds import SandboxWorld

SASE = [(48, "50"), (49, "FSASESTD"), (50, "25"), (51, "0"), (59, "4"), (72, "0")]
READ_ONLY = "Parameter 47 (Endpoints) is read-only: the product reports it."
ONLY_UP = "Parameter 59 (Additional Compute Regions) can be raised and never lowered; it stands at 4."


@pytest.fixture
def sase(people: People, world: SandboxWorld) -> tuple[int, str]:
    """Acme's own config of a product with up-only parameters, and the one entitlement under it."""
    return make_under(people, world, world.add_config("sase", SASE, product_type_id=205))


def make_under(people: People, world: SandboxWorld, config: int) -> tuple[int, str]:
    world.sync()
    world.give_config(config, "acme")
    made = people.acme.post("entitlements", {"config": config})
    assert made.status_code == 201, made.json()
    return config, made.json()["entitlements"][0]["serial_number"]


def change(people: People, path: str, *parameters: tuple[int, str]) -> Any:
    return people.acme.patch(path, {"parameters": [{"id": id, "value": value} for id, value in parameters]})


def assert_refused(answer: Any, detail: str, *, index: int = 0) -> None:
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), answer.json()
    assert answer.json()["errors"] == [{"pointer": f"/parameters/{index}", "detail": detail}]


def test_what_only_rises_is_not_lowered_by_whatever_way(
    people: People, world: SandboxWorld, sase: tuple[int, str]
) -> None:
    config, serial = sase
    for path in (f"configs/{config}", f"entitlements/{serial}"):
        assert_refused(change(people, path, (48, "100"), (59, "2")), ONLY_UP, index=1)
    lower = world.add_config("lower", [*SASE[:4], (59, "2"), SASE[5]], product_type_id=205)
    world.sync()
    world.give_config(lower, "acme")
    asked = len(world.sandbox.calls)
    assert_refused(change(people, f"entitlements/{serial}", (59, "2")), ONLY_UP)
    assert len(world.sandbox.calls) == asked, "a refusal reached FortiFlex"
    assert people.acme.get(f"entitlements/{serial}").json()["config"] == config
    assert change(people, f"entitlements/{serial}", (59, "6")).status_code == 200


def test_what_the_product_reports_itself_is_refused_wherever_it_is_named(people: People, world: SandboxWorld) -> None:
    config, serial = make_under(people, world, world.add_config("edr", [(46, "FEDRPDR")], product_type_id=206))
    asked = len(world.sandbox.calls)
    for path in (f"configs/{config}", f"entitlements/{serial}"):
        assert_refused(change(people, path, (47, "100")), READ_ONLY)
    assert len(world.sandbox.calls) == asked


def test_a_fault_is_found_at_its_place_in_the_body(people: People, world: SandboxWorld, sase: tuple[int, str]) -> None:
    config, serial = sase
    detail = "Parameter 49 (Package) does not take NO; it takes FSASEADV, FSASECOM, FSASESTD."
    for path in (f"configs/{config}", f"entitlements/{serial}"):
        assert_refused(change(people, path, (48, "60"), (49, "NO")), detail, index=1)


def test_a_value_that_fortinet_sells_no_more_stops_no_other_change(people: People, world: SandboxWorld) -> None:
    config, serial = make_under(people, world, world.add_config("old", [(1, "2"), (2, "UTM")]))
    with acting_as(SETUP):
        row = ProductCatalogue.objects.get()
        [product] = [item for item in row.product_types if item["productTypeId"] == 1]
        [package] = [item for item in product["parameters"] if item["parameterId"] == 2]
        package["validValues"] = [item for item in package["validValues"] if item["value"] != "UTM"]
        row.save()
    catalogue._read.clear()
    assert change(people, f"configs/{config}", (1, "4")).status_code == 200
    assert change(people, f"entitlements/{serial}", (1, "8")).status_code == 200
    assert change(people, f"configs/{config}", (2, "UTM")).json()["code"] == "invalid"


def test_a_value_that_is_no_number_is_fortiflexes_to_refuse_where_the_catalogue_is_silent(
    people: People, world: SandboxWorld, sase: tuple[int, str]
) -> None:
    with acting_as(SETUP):
        ProductCatalogue.objects.update(product_types=[])
    catalogue._read.clear()
    answer = change(people, f"configs/{sase[0]}", (59, "²"))
    assert (answer.status_code, answer.json()["code"]) == (502, "upstream_rejected")
    with acting_as(SETUP):
        assert Config.objects.get(id=sase[0]).parameters[4]["value"] == "4"
