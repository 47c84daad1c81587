"""What a creation stands on is remembered; nothing of it may change without being seen, and no refusal comes from memory."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.days import today
from gateway.models import (
    ApiUser,
    Config,
    ConfigOffer,
    Operation,
    ProductCatalogue,
    Program,
    ProgramAccount,
    UpstreamCall,
    UpstreamLane,
)
from gateway.provisioning import ground
from tenants import clock, ids
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.secrets import encrypt_text
from tests.databases import OwnDatabase
from tests.people import SETUP, People, make_people
from tests.worlds import SandboxWorld, make_world


@pytest.fixture
def people(own_database: OwnDatabase) -> People:
    return make_people()


@pytest.fixture
def world(people: People) -> SandboxWorld:
    return make_world()


@pytest.fixture
def config(people: People, world: SandboxWorld) -> int:
    """Acme's own, under which it has made some already: with the first its price was asked for, with the second that was read."""
    with acting_as(SETUP):
        Config.objects.update(tenant=People.tenant("acme"))
    for _ in range(2):
        assert create(people, world.config_id).status_code == 201
    return world.config_id


@pytest.fixture
def offered(people: People, config: int) -> int:
    """The operator's, offered to acme, which has made one under it."""
    with acting_as(SETUP):
        Config.objects.update(tenant=None)
        ConfigOffer.objects.create(config_id=config, tenant=People.tenant("acme"))
    assert create(people, config).status_code == 201
    return config


def create(people: People, config: int) -> Any:
    return people.acme.post("entitlements", {"config": config})


def test_what_stands_as_it_was_read_is_not_asked_for_again(people: People, config: int) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert create(people, config).status_code == 201
    spoken = [query["sql"] for query in asked if query["sql"] not in {"BEGIN", "COMMIT"}]
    assert len(spoken) == 2, "token, rates and lane with journal; outcome"


def other_api_user(**more: Any) -> ApiUser:
    first = ApiUser.objects.get()
    same = {name: getattr(first, name) for name in ("username", "api_url", "auth_url")}
    other = ApiUser(name="other", **same | more)
    other.password_encrypted = encrypt_text("password", bound_to=f"api_user:{other.id}:password")
    other.save()
    return other


def end_program() -> None:
    Program.objects.update(end_day=today() - timedelta(days=1))


def forbid_product() -> None:
    Tenant.objects.filter(slug="acme").update(limits={"products": [7]})


CHANGES: dict[str, tuple[Callable[[], Any], int, str]] = {
    "disabled": (lambda: Config.objects.update(status="DISABLED"), 400, "invalid"),
    "vanished": (lambda: Config.objects.update(vanished_at=clock.now()), 400, "invalid"),
    "somebody else's": (lambda: Config.objects.update(tenant=People.tenant("globex")), 400, "invalid"),
    "the program ended": (end_program, 409, "state_conflict"),
    "no points are left": (lambda: Program.objects.update(point_balance=Decimal(0)), 409, "insufficient_points"),
    "its API user is off": (lambda: ApiUser.objects.update(enabled=False), 409, "not_available"),
    "its API user serves globex": (
        lambda: ApiUser.objects.update(tenant=People.tenant("globex")),
        409,
        "not_available",
    ),
    "acme has an API user of its own": (
        lambda: other_api_user(username="own", tenant=People.tenant("acme")),
        409,
        "not_available",
    ),
    "acme may use another program": (
        lambda: Tenant.objects.filter(slug="acme").update(programs=["ELAVMS0000000009"]),
        409,
        "not_available",
    ),
    "acme may not have it": (forbid_product, 409, "quota_exceeded"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_and_answered_as_if_nothing_was_remembered(
    name: str, people: People, world: SandboxWorld, config: int
) -> None:
    change, status, code = CHANGES[name]
    sent = len(world.calls_of("entitlements/vm/create"))
    with acting_as(SETUP):
        change()
    answer = create(people, config)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    ground._memory._found.clear()
    again = create(people, config)
    assert answer.json() | {"request_id": ""} == again.json() | {"request_id": ""}
    assert len(world.calls_of("entitlements/vm/create")) == sent
    with acting_as(SETUP):
        assert Operation.objects.count() == 2


def test_an_offer_that_was_withdrawn_is_none(people: People, world: SandboxWorld, offered: int) -> None:
    sent = len(world.calls_of("entitlements/vm/create"))
    with acting_as(SETUP):
        ConfigOffer.objects.all().delete()
    answer = create(people, offered)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_available")
    assert len(world.calls_of("entitlements/vm/create")) == sent


def test_no_refusal_comes_from_memory(people: People, config: int) -> None:
    for status, wanted in (("DISABLED", 400), ("ACTIVE", 201), ("DISABLED", 400), ("ACTIVE", 201)):
        with acting_as(SETUP):
            Config.objects.update(status=status)
        assert create(people, config).status_code == wanted


def test_what_it_costs_and_what_it_is_are_those_of_now(people: People, config: int) -> None:
    with acting_as(SETUP):
        Config.objects.update(points_per_day=Decimal("7.5"), product="Another name")
    made = create(people, config).json()
    assert made["operation"]["points_per_day"] == "7.5000"
    assert made["entitlements"][0]["product"] == "Another name"


@pytest.mark.parametrize("prefer", ["wait=1", "wait=0"])
def test_where_the_lane_is_taken_the_longer_way_asks_anew(people: People, config: int, prefer: str) -> None:
    with acting_as(SETUP):
        UpstreamLane.objects.update(holder=ids.new_id(), held_until=clock.now() + timedelta(seconds=60))
    answer = people.acme.post("entitlements", {"config": config}, Prefer=prefer)
    assert (answer.status_code, answer.json()["operation"]["state"]) == (202, "planned")
    with acting_as(SETUP):
        assert Operation.objects.count() == 3


def test_an_account_that_was_moved_is_written_through_its_new_api_user(people: People, config: int) -> None:
    with acting_as(SETUP):
        other = other_api_user()
        ProgramAccount.objects.update(api_user=other)
    assert create(people, config).status_code == 201
    with acting_as(SETUP):
        assert Operation.objects.order_by("-id")[0].api_user_id == other.id
        assert UpstreamCall.objects.filter(api_user=other, path="entitlements/vm/create").count() == 1


def test_another_catalogue_is_read_anew(people: People, config: int) -> None:
    """By it the product is hardware, so serials are wanted."""
    with acting_as(SETUP):
        row = ProductCatalogue.objects.get()
        hardware = {"formFactorId": 2, "name": "Hardware"}
        row.product_types = [product | {"formFactor": hardware} for product in row.product_types]
        row.fetched_at = clock.now()
        row.save()
    answer = create(people, config)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/serial_numbers")


def test_one_request_changes_nothing_that_another_reads(people: People, config: int) -> None:
    first = ground.recall_ground(people.acme.actor, config, tenant=People.tenant("acme"))
    assert first is not None
    first.config.name, first.api_user.enabled, first.program.end_day = "scribbled", False, None
    second = ground.recall_ground(people.acme.actor, config, tenant=People.tenant("acme"))
    assert second is not None
    assert (second.config.name == "scribbled", second.api_user.enabled) == (False, True)
    assert second.program.end_day is not None
