"""Provisioning over REST: what is asked is journaled, sent once, tagged, and owned."""

from datetime import date, timedelta
from typing import Any

import pytest

from gateway.days import today
from gateway.models import Assignment, Attempt, Config, Entitlement, Operation, Placement
from gateway.tags import split_tag
from tenants.context import acting_as
from tenants.models import AuditEntry, Event
from tests.people import SETUP, People, make_client
from tests.worlds import ACCOUNT, PROGRAM, SandboxWorld


@pytest.fixture
def offered(people: People, world: SandboxWorld) -> int:
    """The catalogue config, offered to acme."""
    assert people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"}).json() == {"tenant": "acme"}
    return world.config_id


def create(people: People, config: int, **more: Any) -> dict[str, Any]:
    response = people.acme.post("entitlements", {"config": config, **more})
    assert response.status_code == 201, response.content
    return dict(response.json())


def test_a_vm_is_made_tagged_owned_and_priced(people: People, world: SandboxWorld, offered: int) -> None:
    made = create(people, offered, count=2, description="branch office", labels={"site": "Bonn"})
    assert made["operation"]["state"] == "succeeded"
    assert made["operation"]["points_per_day"] == "12.7800"
    assert [row["description"] for row in made["entitlements"]] == ["branch office", "branch office"]
    assert all(row["tenant"] == "acme" and row["status"] == "PENDING" and row["token"] for row in made["entitlements"])
    serial = made["entitlements"][0]["serial_number"]
    upstream = {row["serialNumber"]: row["description"] for row in world.sandbox.entitlements()}[serial]
    text, tag = split_tag(upstream)
    assert text == "branch office"
    assert tag is not None
    assert (tag.tenant_slug, str(tag.operation_id), tag.attempt, tag.valid) == (
        "acme",
        made["operation"]["id"],
        1,
        True,
    )
    with acting_as(SETUP):
        owned = Assignment.objects.get(serial_number=serial)
        assert (owned.tenant.slug, owned.from_day, owned.until_day) == ("acme", today(), None)
        placed = Placement.objects.get(serial_number=serial, until_day=None)
        assert (placed.account_id, placed.config_id, placed.labels) == (ACCOUNT, offered, {"site": "Bonn"})
        assert Event.objects.filter(type="operation.succeeded", tenant=owned.tenant).count() == 1
        assert AuditEntry.objects.filter(action="operation.planned").count() == 1


def test_the_journal_keeps_the_answer_without_the_licence_token(
    people: People, world: SandboxWorld, offered: int
) -> None:
    import zlib

    made = create(people, offered)
    token = made["entitlements"][0]["token"]
    with acting_as(SETUP):
        attempt = Attempt.objects.get(operation_id=made["operation"]["id"])
        answer = zlib.decompress(bytes(attempt.answer or b"")).decode()
    assert made["entitlements"][0]["serial_number"] in answer
    assert token not in answer


def test_a_stranger_sees_nothing_of_it(people: People, world: SandboxWorld, offered: int) -> None:
    made = create(people, offered)
    serial, operation = made["entitlements"][0]["serial_number"], made["operation"]["id"]
    assert people.acme.get(f"entitlements/{serial}").json()["serial_number"] == serial
    assert people.acme.get(f"operations/{operation}").json()["state"] == "succeeded"
    for path in (f"entitlements/{serial}", f"operations/{operation}", f"configs/{offered}"):
        assert people.globex.get(path).json()["code"] == "not_found"
    assert people.globex.get("entitlements").json()["results"] == []
    assert people.globex.get(f"entitlements?config={offered}").json()["results"] == []
    refused = people.globex.post(f"entitlements/{serial}/stop")
    unknown = people.globex.post("entitlements/FGVMMLTM99999999/stop")
    assert refused.status_code == unknown.status_code == 404
    assert refused.json()["detail"] == unknown.json()["detail"]


def test_the_licence_token_needs_the_right_to_write(people: People, world: SandboxWorld, offered: int) -> None:
    serial = create(people, offered)["entitlements"][0]["serial_number"]
    assert people.acme.get(f"entitlements/{serial}").json()["token"] is not None
    assert people.acme_restricted.get(f"entitlements/{serial}").json()["token"] is None


def test_scope_is_checked_before_anything_is_looked_up(people: People, world: SandboxWorld, offered: int) -> None:
    before = len(world.sandbox.calls)
    response = people.acme_restricted.post("entitlements", {"config": offered})
    assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")
    assert people.acme.get("assignments").json()["code"] == "operator_only"
    assert len(world.sandbox.calls) == before


def test_an_unassigned_one_is_the_operators_alone(people: People, world: SandboxWorld) -> None:
    made = people.operator.post("entitlements", {"config": world.config_id, "tenant": None}).json()
    assert made["entitlements"][0]["tenant"] is None
    listed = people.operator.get("entitlements?tenant=unassigned").json()["results"]
    assert [row["serial_number"] for row in listed] == [made["entitlements"][0]["serial_number"]]


def test_stop_reactivate_and_renew(people: People, world: SandboxWorld, offered: int) -> None:
    row = create(people, offered, skip_pending=True)["entitlements"][0]
    path = f"entitlements/{row['serial_number']}"
    assert row["status"] == "ACTIVE"
    assert people.acme.post(f"{path}/stop").json()["status"] == "STOPPED"
    again = people.acme.post(f"{path}/stop")
    assert (again.status_code, again.json()["code"]) == (409, "state_conflict")
    assert people.acme.get(path).json()["token"] is None
    active = people.acme.post(f"{path}/reactivate").json()
    assert active["status"] == "ACTIVE"
    renewed = people.acme.post(f"{path}/token").json()
    assert renewed["token"] not in {None, row["token"]}


def test_text_and_labels_change_and_the_tag_stays(people: People, world: SandboxWorld, offered: int) -> None:
    serial = create(people, offered, description="old")["entitlements"][0]["serial_number"]
    changed = people.acme.patch(f"entitlements/{serial}", {"description": "new  text", "labels": {"a": "b"}}).json()
    assert (changed["description"], changed["labels"]) == ("new  text", {"a": "b"})
    upstream = {row["serialNumber"]: row["description"] for row in world.sandbox.entitlements()}[serial]
    text, tag = split_tag(upstream)
    assert (text, tag is not None and tag.valid) == ("new  text", True)
    before = len(world.sandbox.calls)
    assert people.acme.patch(f"entitlements/{serial}", {"labels": {"c": "d"}}).json()["labels"] == {"c": "d"}
    assert len(world.sandbox.calls) == before


def test_a_tenant_resizes_its_own_entitlement_without_touching_the_shared_config(
    people: People, world: SandboxWorld, offered: int
) -> None:
    serial = create(people, offered, skip_pending=True)["entitlements"][0]["serial_number"]
    changed = people.acme.patch(f"entitlements/{serial}", {"parameters": [{"id": 1, "value": "4"}]}).json()
    assert changed["config"] != offered
    own = people.acme.get(f"configs/{changed['config']}").json()
    assert own["tenant"] == "acme"
    assert {"id": 1, "value": "4"} in own["parameters"]
    with acting_as(SETUP):
        shared = Config.objects.get(id=offered)
        assert {"id": 1, "value": "2"} in shared.parameters


def test_a_tenant_makes_and_changes_a_config_of_its_own(people: People, world: SandboxWorld) -> None:
    body = {
        "program": PROGRAM,
        "name": "mine",
        "product_type_id": 1,
        "parameters": [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}],
    }
    made = people.acme.post("configs", body).json()
    config = made["config"]
    assert (config["name"], config["tenant"], config["status"]) == ("mine", "acme", "ACTIVE")
    upstream = next(item for item in world.sandbox.world.configs if item.id == config["id"])
    assert upstream.name.startswith("mine ~")
    renamed = people.acme.patch(f"configs/{config['id']}", {"name": "yours"}).json()
    assert renamed["name"] == "yours"
    assert people.acme.post(f"configs/{config['id']}/disable").json()["status"] == "DISABLED"
    assert people.globex.get(f"configs/{config['id']}").status_code == 404


def test_a_shared_config_is_the_operators_to_change(people: People, world: SandboxWorld, offered: int) -> None:
    refused = people.acme.patch(f"configs/{offered}", {"name": "mine"})
    assert (refused.status_code, refused.json()["code"]) == (409, "config_managed")
    assert people.operator.patch(f"configs/{offered}", {"name": "catalogue"}).json()["name"] == "catalogue"


def test_hardware_is_registered_and_described(people: People, world: SandboxWorld) -> None:
    config = world.add_config("hw", [(27, "FGT60F"), (28, "FGHWUTP")], product_type_id=101)
    world.sync()
    people.operator.post(f"configs/{config}/offers", {"tenant": "acme"})
    made = create(people, config, serial_numbers=["FGT60FTK20000001"], description="lobby")
    assert made["entitlements"][0]["serial_number"] == "FGT60FTK20000001"
    upstream = {row["serialNumber"]: row["description"] for row in world.sandbox.entitlements()}
    text, tag = split_tag(upstream["FGT60FTK20000001"])
    assert (text, tag is not None) == ("lobby", True)
    people.operator.post(f"configs/{config}/offers", {"tenant": "globex"})
    taken = people.globex.post("entitlements", {"config": config, "serial_numbers": ["FGT60FTK20000001"]})
    assert (taken.status_code, taken.json()["code"]) == (409, "not_available")


def test_one_key_makes_one_thing(people: People, world: SandboxWorld, offered: int) -> None:
    first = people.acme.post("entitlements", {"config": offered, "count": 1}, Idempotency_Key="k1")
    again = people.acme.post("entitlements", {"config": offered, "count": 1}, Idempotency_Key="k1")
    assert first.json()["operation"]["id"] == again.json()["operation"]["id"]
    assert again["Idempotent-Replayed"] == "true"
    assert again.json()["entitlements"][0]["token"] is None
    other = people.acme.post("entitlements", {"config": offered, "count": 2}, Idempotency_Key="k1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert len(world.sandbox.entitlements()) == 1


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("unknown config", {"config": 1}, "/config"),
    ("count 0", {"count": 0}, "/count"),
    ("count 10000", {"count": 10_000}, "/count"),
    ("a tag in the text", {"description": "x [fxg:acme:aaaa:1:bbbb]"}, "/description"),
    ("a text too long", {"description": "x" * 201}, "/description"),
    ("end in the past", {"end_date": "2020-01-01"}, "/end_date"),
    ("end after the program", {"end_date": str(date.today() + timedelta(days=900))}, "/end_date"),  # noqa: DTZ011
    ("serials for a VM", {"serial_numbers": ["FGT60FTK20000001"]}, "/serial_numbers"),
    ("another tenant", {"tenant": "globex"}, "/tenant"),
    ("unknown tenant", {"tenant": "no-such"}, "/tenant"),
    ("unknown field", {"colour": "red"}, "/colour"),
    ("a string for a number", {"count": "3"}, "/count"),
]


@pytest.mark.parametrize(("body", "pointer"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_names_the_field_and_changes_nothing(
    people: People, world: SandboxWorld, offered: int, body: dict[str, Any], pointer: str
) -> None:
    calls = len(world.sandbox.calls)
    response = people.acme.post("entitlements", {"config": offered, **body})
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")
    assert response.json()["errors"][0]["pointer"] == pointer
    with acting_as(SETUP):
        assert Operation.objects.count() == 0
    assert len(world.sandbox.calls) == calls


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"config": 1, "config": 2}', b'{"count": NaN}', b"\xff", b'"x"'])
def test_a_body_that_is_no_json_object_is_refused(people: People, world: SandboxWorld, raw: bytes) -> None:
    response = people.acme.send("POST", "entitlements", raw)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_a_foreign_config_answers_as_an_unknown_one(people: People, world: SandboxWorld, offered: int) -> None:
    foreign = people.globex.post("entitlements", {"config": offered}).json()
    unknown = people.globex.post("entitlements", {"config": 999}).json()
    assert (foreign["code"], foreign["detail"], foreign["errors"]) == (
        unknown["code"],
        unknown["detail"],
        unknown["errors"],
    )


def test_a_disabled_config_is_refused(people: People, world: SandboxWorld, offered: int) -> None:
    assert people.operator.post(f"configs/{offered}/disable").json()["status"] == "DISABLED"
    calls = len(world.sandbox.calls)
    assert people.acme.post("entitlements", {"config": offered}).json()["errors"][0]["pointer"] == "/config"
    assert len(world.sandbox.calls) == calls


def test_a_cloud_config_makes_no_vm(people: People, world: SandboxWorld) -> None:
    config = world.add_config("cloud", [(32, "10"), (33, "1")], product_type_id=202)
    world.sync()
    people.operator.post(f"configs/{config}/offers", {"tenant": "acme"})
    calls = len(world.sandbox.calls)
    assert people.acme.post("entitlements", {"config": config, "count": 1}).json()["errors"][0]["pointer"] == "/count"
    assert len(world.sandbox.calls) == calls


def test_reactivating_what_is_active_is_refused_here(people: People, world: SandboxWorld, offered: int) -> None:
    serial = create(people, offered, skip_pending=True)["entitlements"][0]["serial_number"]
    calls = len(world.sandbox.calls)
    assert people.acme.post(f"entitlements/{serial}/reactivate").json()["code"] == "state_conflict"
    assert len(world.sandbox.calls) == calls


def test_unknown_query_parameters_are_refused(people: People, world: SandboxWorld) -> None:
    response = people.acme.get("entitlements?colour=red")
    assert response.json()["errors"] == [{"pointer": "?colour", "detail": "There is no query parameter 'colour' here."}]
    assert people.acme.get("entitlements?limit=501").json()["errors"][0]["pointer"] == "?limit"
    assert people.acme.get("entitlements?cursor=abc").json()["errors"][0]["pointer"] == "?cursor"


def test_pages_follow_each_other_without_gap_or_repeat(people: People, world: SandboxWorld, offered: int) -> None:
    create(people, offered, count=5)
    seen, path = [], "entitlements?limit=2"
    while path:
        page = people.acme.get(path).json()
        seen += [row["serial_number"] for row in page["results"]]
        path = page["next"]
    assert seen == sorted(seen)
    assert len(set(seen)) == 5
    cursor = people.acme.get("entitlements?limit=2").json()["next"]
    assert people.globex.get(cursor).json()["errors"][0]["pointer"] == "?cursor"


@pytest.mark.parametrize("count", [1, 3])
def test_a_list_costs_the_same_queries_for_any_number_of_rows(
    people: People, world: SandboxWorld, offered: int, count: int, django_assert_num_queries: Any
) -> None:
    create(people, offered, count=count)
    people.acme.get("entitlements")  # the day's flip and the token's last use are written once
    with django_assert_num_queries(2):  # the token with its rates, the list: each with its standing in one round trip
        assert len(people.acme.get("entitlements").json()["results"]) == count


def test_an_unchanged_list_answers_304(people: People, world: SandboxWorld, offered: int) -> None:
    create(people, offered)
    tag = people.acme.get("entitlements")["ETag"]
    world.sync()
    again = people.acme.get("entitlements", If_None_Match=tag)
    assert (again.status_code, again.content) == (304, b"")


def test_a_change_based_on_an_old_state_is_refused(people: People, world: SandboxWorld, offered: int) -> None:
    serial = create(people, offered)["entitlements"][0]["serial_number"]
    tag = people.acme.get(f"entitlements/{serial}")["ETag"]
    assert people.acme.patch(f"entitlements/{serial}", {"labels": {"a": "1"}}, If_Match=tag).json()["labels"] == {
        "a": "1"
    }
    stale = people.acme.patch(f"entitlements/{serial}", {"labels": {"a": "2"}}, If_Match=tag)
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")


def test_a_tenants_limit_stops_it_before_money_is_spent(people: People, world: SandboxWorld, offered: int) -> None:
    people.operator.patch("tenants/acme", {"limits": {"entitlements": 2}})
    create(people, offered, count=2)
    calls = len(world.calls_of("entitlements/vm/create"))
    refused = people.acme.post("entitlements", {"config": offered})
    assert (refused.status_code, refused.json()["code"]) == (409, "quota_exceeded")
    assert len(world.calls_of("entitlements/vm/create")) == calls


def test_switching_is_a_scope_of_its_own(people: People, world: SandboxWorld, offered: int) -> None:
    serial = create(people, offered, skip_pending=True)["entitlements"][0]["serial_number"]
    stitch = make_client(slug="acme", scopes=["entitlements:switch"])
    assert stitch.post(f"entitlements/{serial}/stop").json()["status"] == "STOPPED"
    assert stitch.post("entitlements", {"config": offered}).json()["code"] == "insufficient_scope"
    with acting_as(SETUP):
        assert Entitlement.objects.get(serial_number=serial).status == "STOPPED"


def test_a_cloud_product_is_made_once_per_account(people: People, world: SandboxWorld) -> None:
    config = world.add_config("cloud", [(32, "10"), (33, "1")], product_type_id=202)
    world.sync()
    people.operator.post(f"configs/{config}/offers", {"tenant": "acme"})
    made = create(people, config, description="web")
    row = made["entitlements"][0]
    assert (row["status"], row["token"], row["token_status"], row["description"]) == ("ACTIVE", None, None, "web")
    again = people.acme.post("entitlements", {"config": config})
    assert (again.status_code, again.json()["code"]) == (409, "not_available")
    assert len(world.calls_of("entitlements/cloud/create")) == 1, "what is certainly wrong cost an upstream error"


@pytest.mark.parametrize("mirrored", [{"status": "EXPIRED"}, {"end_day": date(2026, 1, 1)}])
def test_whether_an_expired_cloud_product_counts_is_asked_upstream(
    people: People, world: SandboxWorld, mirrored: dict[str, Any]
) -> None:
    """Not documented, so FortiFlex says it; the second may be expired without the mirror having seen it."""
    config = world.add_config("cloud", [(32, "10"), (33, "1")], product_type_id=202)
    world.sync()
    for slug in ("acme", "globex"):
        people.operator.post(f"configs/{config}/offers", {"tenant": slug})
    (row,) = create(people, config)["entitlements"]
    with acting_as(SETUP):
        Entitlement.objects.filter(serial_number=row["serial_number"]).update(**mirrored)
    refused = people.globex.post("entitlements", {"config": config})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_available")
    assert row["serial_number"] not in refused.content.decode()
    assert len(world.calls_of("entitlements/cloud/create")) == 2
    world.sandbox.world.entitlements[-1].removed = True  # as a FortiFlex that does not count it
    (second,) = people.globex.post("entitlements", {"config": config}).json()["entitlements"]
    assert second["serial_number"] != row["serial_number"]


def test_a_lost_answer_of_a_cloud_create_is_found_by_its_account(people: People, world: SandboxWorld) -> None:
    from gateway.reconciliation import reconcile_operations

    config = world.add_config("cloud", [(32, "10"), (33, "1")], product_type_id=202)
    world.sync()
    people.operator.post(f"configs/{config}/offers", {"tenant": "acme"})
    world.sandbox.plan_fault("entitlements/cloud/create", "cut", when="after")
    operation = people.acme.post("entitlements", {"config": config}).json()["operation"]
    assert operation["state"] == "unknown"
    reconcile_operations(everything=True)
    settled = people.acme.get(f"operations/{operation['id']}").json()
    assert (settled["state"], settled["entitlements"]) == (
        "succeeded",
        [row["serialNumber"] for row in world.sandbox.entitlements()],
    )


def test_the_database_itself_refuses_a_second_owner_for_a_day(people: People, world: SandboxWorld) -> None:
    from django.db import IntegrityError, transaction

    def own(slug: str, first: str, until: str | None) -> None:
        Assignment.objects.create(
            tenant=People.tenant(slug), serial_number="S", from_day=first, until_day=until, created_by="test"
        )

    with acting_as(SETUP):
        own("acme", "2026-08-01", "2026-08-10")
        own("globex", "2026-08-10", None)
        with pytest.raises(IntegrityError, match="one_owner_per_serial_and_day"), transaction.atomic():
            own("globex", "2026-08-09", "2026-08-10")
        with pytest.raises(IntegrityError, match="assignment_has_days"), transaction.atomic():
            own("globex", "2026-07-01", "2026-07-01")


def test_a_replay_shows_what_is_the_callers_today(people: People, world: SandboxWorld, offered: int) -> None:
    body, key = {"config": offered, "count": 2}, {"Idempotency-Key": "one"}
    kept, given = (row["serial_number"] for row in people.acme.post("entitlements", body, **key).json()["entitlements"])
    for serials, left in (([given], [kept]), ([kept], [])):
        people.operator.post("assignments", {"serials": serials, "tenant": "globex", "from_day": today().isoformat()})
        again = people.acme.post("entitlements", body, **key)
        assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
        assert [row["serial_number"] for row in again.json()["entitlements"]] == left


def test_a_config_of_ones_own_says_what_it_costs_and_is_asked_about_once(people: People, world: SandboxWorld) -> None:
    size = [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}]
    body = {"program": PROGRAM, "name": "mine", "product_type_id": 1, "parameters": size}
    made = people.acme.post("configs", body).json()["config"]
    assert made["points_per_day"] == "6.3900"
    assert people.acme.post("entitlements", {"config": made["id"]}).json()["operation"]["points_per_day"] == "6.3900"
    assert len(world.calls_of("tools/calc")) == 1


def test_a_config_is_made_though_nobody_can_say_what_it_costs(people: People, world: SandboxWorld) -> None:
    world.sandbox.plan_fault("tools/calc", "cut")
    size = [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}]
    body = {"program": PROGRAM, "name": "mine", "product_type_id": 1, "parameters": size}
    made = people.acme.post("configs", body)
    assert (made.status_code, made.json()["config"]["points_per_day"]) == (201, None)
