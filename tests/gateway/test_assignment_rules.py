"""Assignment rules: entered, tried out, applied. They touch only what nobody ever owned, and say what else they would have matched."""

import contextlib
import io
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.assignment_rules import apply_rules, foresee_rules
from gateway.assignment_rules.matching import Candidate, Matcher, compile_glob
from gateway.ledger.report import check_conservation
from gateway.models import Assignment, AssignmentRule, Entitlement, LedgerEntry
from gateway.reconciliation import reconcile_operations
from gateway.tags import join_tag, make_tag
from tenants import ids
from tenants.context import acting_as
from tenants.models import AuditEntry, Event
from tests.gateway.ledger.scenes import give, noon_of, pull, vm, world_on
from tests.people import SETUP, People, make_client
from tests.worlds import ACCOUNT, PROGRAM, SandboxWorld

TODAY = date(2026, 8, 20)
START = TODAY - timedelta(days=12)


@pytest.fixture
def august(people: People) -> Iterator[SandboxWorld]:
    with noon_of(TODAY):
        yield world_on(TODAY)


def enter(people: People, name: str, tenant: str = "acme", **criteria: Any) -> dict[str, Any]:
    answer = people.operator.post("assignment-rules", {"name": name, "tenant": tenant} | criteria)
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


def try_out(people: People) -> dict[str, Any]:
    answer = people.operator.post("assignment-rules/dry-run")
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def owners() -> dict[str, str | None]:
    with acting_as(SETUP):
        return dict(Entitlement.objects.order_by("serial_number").values_list("serial_number", "tenant__slug"))


def test_a_rule_is_entered_read_changed_and_deleted(people: People, world: SandboxWorld) -> None:
    made = people.operator.post(
        "assignment-rules", {"name": "branches", "tenant": "acme", "config_name": "fgt-*", "account_id": ACCOUNT}
    )
    rule = made.json()
    assert made["Location"] == f"/api/v1/assignment-rules/{rule['id']}"
    wanted = {
        "id": rule["id"],
        "name": "branches",
        "tenant": "acme",
        "priority": 100,
        "account_id": ACCOUNT,
        "program": None,
        "config": None,
        "config_name": "fgt-*",
        "folder_path": None,
        "description": None,
        "enabled": True,
        "created_at": rule["created_at"],
    }
    assert rule == wanted
    path = f"assignment-rules/{rule['id']}"
    assert people.operator.get(path).json() == wanted
    changes = {"config_name": None, "program": PROGRAM, "config": world.config_id, "priority": 7}
    changed = people.operator.patch(path, changes)
    assert changed.json() == wanted | changes
    assert people.operator.get("assignment-rules").json() == {
        "next": None,
        "previous": None,
        "results": [wanted | changes],
    }
    assert people.operator.patch(path, {"priority": 8}, If_Match='W/"another"').status_code == 412
    assert people.operator.delete(path).status_code == 204
    assert people.operator.get(path).status_code == 404
    with acting_as(SETUP):
        rows = AuditEntry.objects.filter(subject_type="assignment_rule").order_by("id")
        told = [(row.action, row.tenant_id) for row in rows]
    assert told == [(f"assignment_rule.{what}", None) for what in ("created", "changed", "deleted")]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/"),
        ({"tenant": "no-such", "config_name": "x"}, "/tenant"),
        ({"account_id": 42}, "/account_id"),
        ({"program": "ELAVMS9999999999"}, "/program"),
        ({"config": 424242}, "/config"),
        ({"folder_path": "Their Assets/x"}, "/folder_path"),
        ({"config_name": "x" * 201}, "/config_name"),
        ({"config_name": ""}, "/config_name"),
        ({"config_name": "x", "priority": -1}, "/priority"),
        ({"config_name": "x", "tenant": None}, "/tenant"),
        ({"config_name": "x", "regex": "(a+)+$"}, "/regex"),
    ],
)
def test_a_wrong_rule_names_its_field_and_is_not_kept(
    people: People, world: SandboxWorld, body: dict[str, Any], pointer: str
) -> None:
    answer = people.operator.post("assignment-rules", {"name": "wrong", "tenant": "acme"} | body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert answer.json()["errors"][0]["pointer"] == pointer
    with acting_as(SETUP):
        assert not AssignmentRule.objects.exists()


def test_a_rule_keeps_one_criterion_and_its_name_to_itself(people: People, world: SandboxWorld) -> None:
    rule = enter(people, "one", config_name="x")
    emptied = people.operator.patch(f"assignment-rules/{rule['id']}", {"config_name": None})
    assert (emptied.status_code, emptied.json()["errors"][0]["pointer"]) == (400, "/")
    again = people.operator.post("assignment-rules", {"name": "one", "tenant": "acme", "config_name": "y"})
    assert (again.status_code, again.json()["code"]) == (409, "state_conflict")
    assert people.operator.get(f"assignment-rules/{rule['id']}").json() == rule


def test_the_dry_run_says_what_would_go_where_and_why(people: People, august: SandboxWorld) -> None:
    branch = vm(august, day=START)
    august.sandbox.edit_description(branch, "Branch Bonn")
    pending = august.sandbox.create_vm(august.config_id, description="branch Köln")[0]
    other, owned = vm(august, day=START), vm(august, day=START)
    august.sync()
    give([owned], "globex", START)
    pull(august)
    enter(people, "all of it", "globex", account_id=ACCOUNT, description="BRANCH*")
    enter(people, "branches", "acme", description="branch *", priority=5)
    enter(people, "switched off", "globex", program=PROGRAM, priority=1, enabled=False)
    shared = {
        "owner": None,
        "account_id": ACCOUNT,
        "program": PROGRAM,
        "config": august.config_id,
        "config_name": "fgt-2c-ent",
    }
    others = [{"rule": "all of it", "tenant": "globex"}]
    matched = shared | {"tenant": "acme", "rule": "branches", "other_rules": others, "left_because": None}
    rows = [
        matched
        | {
            "serial_number": branch,
            "description": "Branch Bonn",
            "from_day": str(START),
            "from_day_is": "first points",
        },
        matched
        | {"serial_number": pending, "description": "branch Köln", "from_day": str(TODAY), "from_day_is": "start"},
        shared
        | {
            "serial_number": other,
            "description": "",
            "tenant": None,
            "rule": None,
            "other_rules": [],
            "from_day": None,
            "from_day_is": None,
            "left_because": "no rule matches",
        },
    ]
    found = try_out(people)
    assert found == {
        "digest": found["digest"],
        "summary": [{"tenant": "acme", "entitlements": 2}, {"tenant": None, "entitlements": 1}],
        "results": sorted(rows, key=lambda row: str(row["serial_number"])),
    }
    assert owners() == {branch: None, pending: None, other: None, owned: "globex"}


def test_applied_rules_move_points_and_tell_both_sides(people: People, august: SandboxWorld) -> None:
    mine, left = vm(august, day=START), vm(august, day=START)
    august.sandbox.edit_description(mine, "Branch Bonn")
    pull(august)
    enter(people, "branches", description="branch*")
    dry = try_out(people)
    done = people.operator.post("assignment-rules/apply", {"expect": dry["digest"]})
    assert done.status_code == 200
    assert done.json() == {"digest": dry["digest"], "summary": dry["summary"]}
    assert owners() == {mine: "acme", left: None}
    assert people.acme.get(f"entitlements/{mine}").json()["description"] == "Branch Bonn"
    with acting_as(SETUP):
        report = check_conservation(START, TODAY)
        mine_points = LedgerEntry.objects.filter(tenant__slug="acme")
        assert {row.serial_number for row in mine_points} == {mine}
        assert report.holds
        assert (report.attributed, report.unassigned) == (Decimal("76.6800"), Decimal("76.6800"))
        told = list(Event.objects.filter(tenant__slug="acme", subject_key=mine).values_list("type", "data"))
        kept = AuditEntry.objects.get(action="assignment.made", tenant__slug="acme")
        applied = AuditEntry.objects.get(action="assignment_rules.applied")
    assert told == [("entitlement.assigned", {"from_day": str(START)})]
    assert (kept.subject_key, kept.after["from_day"]) == (mine, str(START))
    assert applied.tenant_id is None
    assert applied.after == {"digest": dry["digest"], "tenants": {"acme": 1}, "left": {"no rule matches": 1}}


def test_a_second_run_finds_nothing_more(people: People, august: SandboxWorld) -> None:
    vm(august, day=START)
    august.sync()
    enter(people, "all", account_id=ACCOUNT)
    first, second = apply_rules(SETUP), apply_rules(SETUP)
    assert (first.count_by_tenant(), second.count_by_tenant()) == ({"acme": 1}, {})
    with acting_as(SETUP):
        assert Assignment.objects.count() == 1


def test_an_outcome_that_changed_since_the_dry_run_is_refused_whole(people: People, august: SandboxWorld) -> None:
    serials = [vm(august, day=START) for _ in range(2)]
    august.sync()
    rule = enter(people, "all", account_id=ACCOUNT)
    digest = try_out(people)["digest"]
    people.operator.patch(f"assignment-rules/{rule['id']}", {"tenant": "globex"})
    refused = people.operator.post("assignment-rules/apply", {"expect": digest})
    assert (refused.status_code, refused.json()["code"]) == (409, "state_conflict")
    assert owners() == dict.fromkeys(serials)
    give(serials[:1], "acme", TODAY)
    assert try_out(people)["digest"] != digest


def test_what_had_an_owner_once_is_no_rules_matter(people: People, august: SandboxWorld) -> None:
    owned, past, to_come, free = (vm(august, day=START) for _ in range(4))
    august.sync()
    give([owned, past], "globex", START)
    give([past], None, TODAY)
    give([to_come], "globex", TODAY + timedelta(days=3))
    enter(people, "all", account_id=ACCOUNT)
    assert [row["serial_number"] for row in try_out(people)["results"]] == [free]
    apply_rules(SETUP)
    assert owners() == {owned: "globex", past: None, to_come: None, free: "acme"}
    with acting_as(SETUP):
        assert Assignment.objects.filter(tenant__slug="acme").count() == 1


def test_a_tag_that_names_another_tenant_is_left_to_a_person(people: People, august: SandboxWorld) -> None:
    tagged, agreed = (
        august.sandbox.create_vm(august.config_id, description=join_tag("x", make_tag(slug, ids.new_id(), 1)))[0]
        for slug in ("globex", "acme")
    )
    august.sync()
    enter(people, "all", account_id=ACCOUNT)
    rows = {row["serial_number"]: row for row in try_out(people)["results"]}
    assert rows[tagged]["left_because"] == "a tag names another tenant"
    assert rows[tagged]["other_rules"] == [{"rule": "all", "tenant": "acme"}]
    apply_rules(SETUP)
    assert owners() == {tagged: None, agreed: "acme"}


def test_what_an_open_operation_may_have_made_is_left_to_it(people: People, world: SandboxWorld) -> None:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "globex"})
    world.sandbox.plan_fault("entitlements/vm/create", "cut", when="after")
    asked = people.globex.post("entitlements", {"config": world.config_id, "count": 1})
    assert asked.json()["operation"]["state"] == "unknown"
    world.sync()
    enter(people, "all", account_id=ACCOUNT)
    rows = try_out(people)["results"]
    assert [row["left_because"] for row in rows] == ["its creation is not settled"]
    assert apply_rules(SETUP).assigned == []


def test_a_cloud_product_whose_answer_was_lost_goes_by_no_rule_to_another(people: People, world: SandboxWorld) -> None:
    """FortiFlex need not have kept its description, and so the tag."""
    cloud = world.add_config("cloud", [(32, "10"), (33, "1")], product_type_id=202)
    world.sync()
    people.operator.post(f"configs/{cloud}/offers", {"tenant": "globex"})
    world.sandbox.plan_fault("entitlements/cloud/create", "cut", when="after")
    assert people.globex.post("entitlements", {"config": cloud}).json()["operation"]["state"] == "unknown"
    world.sandbox.edit_description(world.sandbox.entitlements()[0]["serialNumber"], "")
    world.sync()
    enter(people, "all", account_id=ACCOUNT)
    assert [row["left_because"] for row in try_out(people)["results"]] == ["its creation is not settled"]
    apply_rules(SETUP)
    reconcile_operations(everything=True)
    assert set(owners().values()) == {"globex"}


def test_the_dry_run_costs_the_same_queries_for_any_number(people: People, world: SandboxWorld) -> None:
    enter(people, "all", account_id=ACCOUNT)
    numbers = []
    for count in (1, 30):
        world.sandbox.create_vm(world.config_id, count=count)
        world.sync()
        with CaptureQueriesContext(connection) as captured:
            foresee_rules(SETUP)
        numbers.append(len(captured))
    assert numbers[0] == numbers[1]


def test_thirty_are_assigned_with_the_queries_of_two(people: People, world: SandboxWorld) -> None:
    enter(people, "all", account_id=ACCOUNT)
    numbers = []
    for count in (2, 30):
        world.sandbox.create_vm(world.config_id, count=count)
        world.sync()
        with CaptureQueriesContext(connection) as captured:
            assert len(apply_rules(SETUP).assigned) == count
        numbers.append(len(captured))
    assert numbers[0] == numbers[1]


def test_rules_are_the_operators_alone(people: People, world: SandboxWorld) -> None:
    lesser = make_client(slug=None, scopes=["entitlements:write"])
    for path in ("assignment-rules", "assignment-rules/dry-run", "assignment-rules/apply"):
        assert people.acme.post(path).json()["code"] == "operator_only"
        assert lesser.post(path).json()["code"] == "insufficient_scope"


def candidate(**more: Any) -> Candidate:
    return Candidate(
        **{
            "serial_number": "FGVM0000000001",
            "account_id": 1,
            "program": "P",
            "config": 7,
            "config_name": "Branch small",
            "description": "Bonn",
            "folder_path": "My Assets/Branches/Bonn",
        }
        | more
    )


@pytest.mark.parametrize(
    ("criteria", "matches"),
    [
        ({"account_id": 1, "program_id": "P", "config_id": 7}, True),
        ({"account_id": 1, "program_id": "Q"}, False),
        ({"config_id": 8}, False),
        ({"config_name": "branch*"}, True),
        ({"config_name": "branch"}, False),
        ({"config_name": "BRANCH ?mall"}, True),
        ({"config_name": "branch [a-s]mall", "description": "bon?"}, True),
        ({"config_name": "branch*", "description": "köln"}, False),
        ({"folder_path": "My Assets/Branches"}, True),
        ({"folder_path": "my assets/branches/"}, True),
        ({"folder_path": "My Assets/Branch"}, False),
        ({"folder_path": "My Assets/Branches/Bonn/Cellar"}, False),
    ],
)
def test_all_criteria_of_a_rule_must_hold(criteria: dict[str, Any], matches: bool) -> None:
    rule = AssignmentRule(name="r", priority=1, **criteria)
    assert bool(Matcher([rule]).match(candidate())) is matches


def test_the_first_by_priority_counts_and_the_others_are_named() -> None:
    rules = [AssignmentRule(name=name, priority=n, account_id=1) for name, n in (("late", 9), ("early", 1), ("mid", 5))]
    assert [rule.name for rule in Matcher(rules).match(candidate())] == ["early", "mid", "late"]


def test_no_pattern_takes_long_on_any_text() -> None:
    import time

    pattern, text = "*a" * 60 + "b", "a" * 200
    started = time.perf_counter()
    assert compile_glob(pattern).match(text) is None
    assert time.perf_counter() - started < 0.5


def command(*arguments: str, columns: str | None = "220") -> str:
    """`columns` None = into a file, which has no width."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        if columns is None:
            patch.delenv("COLUMNS", raising=False)
        else:
            patch.setenv("COLUMNS", columns)
        call_command("apply_assignment_rules", *arguments)
    return out.getvalue()


def test_the_command_shows_first_and_assigns_then(people: People, august: SandboxWorld) -> None:
    mine, left = vm(august, day=START), vm(august, day=START)
    august.sandbox.edit_description(mine, "Branch [red]Bonn\x1b[31m")
    august.sync()
    enter(people, "branches", description="branch*")
    enter(people, "late", "globex", description="*bonn*", priority=200)
    shown = command("--dry-run")
    row = next(line for line in shown.splitlines() if mine in line)
    for part in ("acme", str(START), "start", "branches", "late (globex)", "Branch [red]Bonn?[31m"):
        assert part in row
    assert "no rule matches" in next(line for line in shown.splitlines() if left in line)
    assert owners() == {mine: None, left: None}
    digest = try_out(people)["digest"]
    assert f"digest {digest}" in shown
    with pytest.raises(CommandError, match="has changed since this dry run"):
        command("--expect", "0" * 64)
    assert owners() == {mine: None, left: None}
    done = command("--expect", digest)
    assert owners() == {mine: "acme", left: None}
    assert [part in done for part in ("acme", "nobody: no rule matches", "got")] == [True, True, True]


@pytest.mark.parametrize("columns", [None, "80"])
def test_what_would_go_where_from_which_day_is_never_cut(
    people: People, august: SandboxWorld, columns: str | None
) -> None:
    """A table of 5,000 goes into a file, or through a terminal of 80 columns: "FGVMM…" to "acme" from "2026-…" says nothing."""
    serial = vm(august, day=START)
    august.sandbox.edit_description(serial, "the branch office in Bonn, second floor, behind the stairs")
    august.sync()
    enter(people, "every branch office of the customer", description="*branch*")
    shown = command("--dry-run", columns=columns)
    row = next(line for line in shown.splitlines() if serial in line)
    assert [part in row for part in ("acme", str(START))] == [True, True]
    if columns is None:
        assert "the branch office in Bonn, second floor, behind the stairs" in row
