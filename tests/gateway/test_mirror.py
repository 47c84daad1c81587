"""The mirror: complete passes, nothing written where nothing changed, events for what happened behind our back."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from gateway.config_names import join_suffix, split_suffix
from gateway.models import Assignment, Entitlement, Placement, ProgramAccount
from gateway.tags import join_tag, looks_like_tag, make_tag, split_tag
from tenants import clock, ids
from tenants.context import acting_as
from tenants.models import Event, Tenant
from tests.people import SETUP, People
from tests.worlds import ENT_4, SandboxWorld


def row_versions() -> list[Any]:
    with acting_as(SETUP), connection.cursor() as cursor:
        rows = []
        for table in (
            "gateway_program",
            "gateway_config",
            "gateway_entitlement",
            "gateway_placement",
            "gateway_assignment",
        ):
            cursor.execute(f"SELECT '{table}', xmin::text, cmin::text, ctid::text FROM {table} ORDER BY ctid")
            rows += cursor.fetchall()
        return rows


def events() -> list[tuple[str, str]]:
    with acting_as(SETUP):
        return list(Event.objects.filter(subject_type="entitlement").order_by("id").values_list("type", "subject_key"))


def test_an_unchanged_pass_writes_no_row(people: People, world: SandboxWorld) -> None:
    world.sandbox.create_vm(world.config_id, count=3, description="x")
    world.sync()
    before = row_versions()
    report = world.sync()
    assert (report.new, report.changed, report.vanished, report.configs) == (0, 0, 0, 0)
    assert row_versions() == before


def test_what_changes_behind_our_back_is_an_event(people: People, world: SandboxWorld) -> None:
    one, two = world.sandbox.create_vm(world.config_id, count=2, skipPending=True)
    world.sync()
    world.sandbox.stop(one)
    world.sandbox.world.entitlements[1].removed = True
    world.sync()
    assert events() == [
        ("entitlement.appeared", one),
        ("entitlement.appeared", two),
        ("entitlement.changed_outside", one),
        ("entitlement.vanished", two),
    ]
    with acting_as(SETUP):
        assert Entitlement.objects.get(pk=two).vanished_at is not None
    world.sandbox.world.entitlements[1].removed = False
    world.sync()
    with acting_as(SETUP):
        assert Entitlement.objects.get(pk=two).vanished_at is None


def test_a_failed_pass_leaves_the_mirror_as_it_was(people: People, world: SandboxWorld) -> None:
    world.sandbox.create_vm(world.config_id)
    world.sync()
    before = row_versions()
    with acting_as(SETUP):
        mirrored = ProgramAccount.objects.get().mirrored_at
    world.sandbox.create_vm(world.config_id)
    world.sandbox.plan_fault("entitlements/list", "cut_json")
    report = world.sync()
    assert [row[:2] for row in report.failed] == [("ELAVMS0000000001", 100001)]
    assert row_versions() == before
    with acting_as(SETUP):
        assert ProgramAccount.objects.get().mirrored_at == mirrored


def test_a_moved_tag_moves_nothing(people: People, world: SandboxWorld) -> None:
    """Nor does its text: under another tenant's tag it is not the owner's."""
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    made = people.acme.post("entitlements", {"config": world.config_id, "description": "mine"}).json()
    serial = made["entitlements"][0]["serial_number"]
    world.sandbox.edit_description(serial, join_tag("taken", make_tag("globex", ids.new_id(), 1)))
    world.sync()
    assert ("entitlement.tag_changed", serial) in events()
    assert people.acme.get(f"entitlements/{serial}").json()["description"] == "mine"
    assert people.globex.get(f"entitlements/{serial}").status_code == 404


def test_a_valid_tag_proposes_an_owner_and_the_operator_confirms(people: People, world: SandboxWorld) -> None:
    tagged = world.sandbox.create_vm(world.config_id, description=join_tag("a", make_tag("acme", ids.new_id(), 1)))[0]
    forged = world.sandbox.create_vm(
        world.config_id, description="b [fxg:globex:aaaaaaaaaaaaaaaaaaaaaaaaaa:1:bbbbbbbb]"
    )[0]
    call_command("sync", "--rebuild")
    proposals = people.operator.get("assignments/proposals").json()["results"]
    assert [(row["serial_number"], row["tenant"]) for row in proposals] == [(tagged, "acme")]
    assert people.acme.get(f"entitlements/{tagged}").status_code == 404
    call_command("sync", "--rebuild", "--confirm")
    assert people.acme.get(f"entitlements/{tagged}").json()["description"] == "a"
    with acting_as(SETUP):
        assert Entitlement.objects.get(pk=forged).tenant is None
    with pytest.raises(CommandError):
        call_command("sync", "--confirm")


@pytest.mark.parametrize("text", ["", "branch", "two  spaces ", "ends with ]", "[x]", "Straße\n2"])
def test_the_users_text_comes_back_verbatim(text: str) -> None:
    operation = ids.new_id()
    found, tag = split_tag(join_tag(text, make_tag("acme", operation, 3)))
    assert found == text
    assert tag is not None
    assert (tag.tenant_slug, tag.operation_id, tag.attempt, tag.valid) == ("acme", operation, 3, True)


def test_a_changed_tag_is_not_ours() -> None:
    tag = make_tag("acme", ids.new_id(), 1)
    _, found = split_tag(join_tag("x", tag.replace("acme", "evil")))
    assert found is not None
    assert not found.valid
    assert split_tag("no tag here") == ("no tag here", None)
    assert looks_like_tag("x [FXG: y")
    assert not looks_like_tag("fxg: fine")


def test_a_configs_suffix_is_never_seen() -> None:
    operation = ids.new_id()
    assert split_suffix(join_suffix("my config", operation)) == ("my config", operation)
    assert split_suffix("made ~elsewhere") == ("made ~elsewhere", None)


def test_a_move_keeps_the_bigger_config_for_its_day(people: People, world: SandboxWorld) -> None:
    from gateway.days import today
    from gateway.models import Config

    serial = world.sandbox.create_vm(world.config_id, skipPending=True)[0]
    big = world.add_config("big", ENT_4)
    world.sync()
    with acting_as(SETUP):
        Config.objects.filter(id=world.config_id).update(points_per_day="6.39")
        Config.objects.filter(id=big).update(points_per_day="12.91")
    for config in (big, world.config_id):
        world.sandbox.move(serial, config)
        world.sync()
    day = today()
    with acting_as(SETUP):
        places = list(Placement.objects.order_by("from_day").values_list("config_id", "from_day", "until_day"))
    assert places == [(big, day, day + timedelta(days=1)), (world.config_id, day + timedelta(days=1), None)]


def test_a_hand_over_passes_control_and_leaves_the_text_behind(people: People, world: SandboxWorld) -> None:
    from gateway.days import today

    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    body = {"config": world.config_id, "description": "acme's words", "labels": {"cost": "7"}}
    serial = people.acme.post("entitlements", body).json()["entitlements"][0]["serial_number"]
    handed = people.operator.post("assignments", {"serials": [serial], "tenant": "globex", "from_day": str(today())})
    assert handed.json()["assignments"][0]["tenant"] == "globex"
    assert people.acme.get(f"entitlements/{serial}").status_code == 404
    seen = people.globex.get(f"entitlements/{serial}").json()
    assert (seen["description"], seen["labels"]) == ("", {})


def test_a_later_hand_over_waits_for_its_day(people: People, world: SandboxWorld) -> None:
    import time_machine

    from gateway.days import today
    from gateway.ownership import forget_day

    serial = world.sandbox.create_vm(world.config_id)[0]
    world.sync()
    tomorrow = today() + timedelta(days=1)
    people.operator.post("assignments", {"serials": [serial], "tenant": "acme", "from_day": str(today())})
    people.operator.post("assignments", {"serials": [serial], "tenant": "globex", "from_day": str(tomorrow)})
    assert people.acme.get(f"entitlements/{serial}").json()["tenant"] == "acme"
    assert people.globex.get(f"entitlements/{serial}").status_code == 404
    with time_machine.travel(clock.now() + timedelta(days=1), tick=True):
        forget_day()
        assert people.globex.get(f"entitlements/{serial}").json()["tenant"] == "globex"
        assert people.acme.get(f"entitlements/{serial}").status_code == 404
    with acting_as(SETUP):
        assert Assignment.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"serials": ["NOSUCH0000000001"], "tenant": "acme", "from_day": "2026-08-01"}, "/serials/0"),
        ({"serials": [], "tenant": "acme", "from_day": "2026-08-01"}, "/serials"),
        ({"serials": ["X"], "tenant": "no-such", "from_day": "2026-08-01"}, "/tenant"),
        ({"serials": ["X"], "tenant": "acme", "from_day": "soon"}, "/from_day"),
        ({"serials": ["X"], "from_day": "2026-08-01"}, "/tenant"),
    ],
)
def test_a_wrong_assignment_changes_nothing(
    people: People, world: SandboxWorld, body: dict[str, Any], pointer: str
) -> None:
    answer = people.operator.post("assignments", body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)
    with acting_as(SETUP):
        assert Assignment.objects.count() == 0


def test_what_a_tenant_may_use_follows_its_api_users(people: People, world: SandboxWorld) -> None:
    assert [row["program"] for row in people.acme.get("programs").json()["results"]] == ["ELAVMS0000000001"]
    with acting_as(SETUP):
        Tenant.objects.filter(slug="globex").update(account_ids=[1])
    assert people.globex.get("programs").json()["results"] == []
    assert people.globex.get("programs/ELAVMS0000000001").status_code == 404
    people.operator.patch("api-users/main", {"tenant": "acme"})
    with acting_as(SETUP):
        Tenant.objects.filter(slug="globex").update(account_ids=None)
    assert people.globex.get("programs").json()["results"] == []
    assert len(people.acme.get("programs").json()["results"]) == 1


def test_api_users_are_proven_and_their_password_never_comes_out(people: People, world: SandboxWorld) -> None:
    wrong = people.operator.post("api-users", {"name": "second", "username": "user", "password": "nope"})
    assert wrong.status_code in {400, 503}
    url = "http://127.0.0.1:1/ES/api/fortiflex/v2"
    body = {
        "name": "second",
        "username": "user",
        "password": "nope",
        "api_url": url,
        "auth_url": "http://127.0.0.1:1/api/v1/oauth/token/",
    }
    refused = people.operator.post("api-users", body)
    assert refused.json()["errors"][0]["pointer"] == "/password"
    made = people.operator.post("api-users", body | {"password": "password"})
    assert made.json()["username"] == "user"
    moved = people.operator.patch("api-users/second", {"api_url": "http://127.0.0.1:2/ES/api/fortiflex/v2"})
    assert moved.json()["errors"][0]["pointer"] == "/password"
    plain = people.operator.patch("api-users/second", {"auth_url": "http://example.com/", "password": "password"})
    assert plain.json()["errors"][0]["pointer"] == "/auth_url"
    for answer in (refused, made, moved, people.operator.get("api-users")):
        assert "nope" not in answer.content.decode()
        assert '"password":' not in answer.content.decode()
    assert people.acme.get("api-users").json()["code"] == "operator_only"


def assign(people: People, serial: str, slug: str | None, day: str) -> None:
    answer = people.operator.post("assignments", {"serials": [serial], "tenant": slug, "from_day": day})
    assert answer.status_code == 201, answer.content


def test_a_text_does_not_reach_the_next_owner_through_nobody(people: People, world: SandboxWorld) -> None:
    from gateway.days import today

    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    body = {"config": world.config_id, "description": "acme's secret words", "labels": {"cost": "7"}}
    serial = people.acme.post("entitlements", body).json()["entitlements"][0]["serial_number"]
    for slug in (None, "globex"):
        assign(people, serial, slug, str(today()))
    seen = people.globex.get(f"entitlements/{serial}").json()
    assert (seen["description"], seen["labels"]) == ("", {})


def test_what_nobody_owned_yet_keeps_its_text(people: People, world: SandboxWorld) -> None:
    serial = world.sandbox.create_vm(world.config_id, description="from the portal")[0]
    world.sync()
    assign(people, serial, "acme", "2026-01-01")
    assert people.acme.get(f"entitlements/{serial}").json()["description"] == "from the portal"


def test_an_api_user_of_one_tenant_can_be_changed_again(people: People, world: SandboxWorld) -> None:
    assert people.operator.patch("api-users/main", {"tenant": "acme"}).json()["tenant"] == "acme"
    changed = people.operator.patch("api-users/main", {"per_minute": 50}).json()
    assert (changed["tenant"], changed["per_minute"]) == ("acme", 50)


def test_switching_a_tenants_own_api_user_off_opens_nothing_else(people: People, world: SandboxWorld) -> None:
    with acting_as(SETUP):
        acme = Tenant.objects.get(slug="acme")
    from tests.worlds import add_api_user

    add_api_user("own", tenant=acme)
    assert people.acme.get("programs").json()["results"] == []
    people.operator.patch("api-users/own", {"enabled": False})
    assert people.acme.get("programs").json()["results"] == []


def test_a_day_keeps_its_biggest_config_whatever_follows(people: People, world: SandboxWorld) -> None:
    from gateway.days import today
    from gateway.models import Config

    serial = world.sandbox.create_vm(world.config_id, skipPending=True)[0]
    big, middle = world.add_config("big", [(1, "8"), (2, "ENT")]), world.add_config("middle", ENT_4)
    world.sandbox.move(serial, big)
    world.sync()
    with acting_as(SETUP):
        for config, points in ((world.config_id, "6.39"), (middle, "12.91"), (big, "25.95")):
            Config.objects.filter(id=config).update(points_per_day=points)
    for config in (world.config_id, middle):
        world.sandbox.move(serial, config)
        world.sync()
    assign(people, serial, "acme", str(today()))
    people.acme.patch(f"entitlements/{serial}", {"labels": {"a": "b"}})
    day = today()
    with acting_as(SETUP):
        standing = Placement.objects.filter(serial_number=serial, from_day__lte=day).exclude(until_day__lte=day).get()
        following = Placement.objects.get(serial_number=serial, until_day=None)
    assert standing.config_id == big
    assert (following.config_id, following.from_day, following.labels) == (middle, day + timedelta(days=1), {"a": "b"})


def test_a_tag_that_went_takes_its_proposal_along(people: People, world: SandboxWorld) -> None:
    serial = world.sandbox.create_vm(world.config_id, description=join_tag("", make_tag("acme", ids.new_id(), 1)))[0]
    world.sync()
    assert len(people.operator.get("assignments/proposals").json()["results"]) == 1
    world.sandbox.edit_description(serial, "no tag any more")
    world.sync()
    assert people.operator.get("assignments/proposals").json()["results"] == []
