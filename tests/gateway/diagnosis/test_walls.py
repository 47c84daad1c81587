"""A diagnosis tells each of its own days, points and operations, and nobody that another exists."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.diagnosis import RULES
from gateway.models import Entitlement, Refusal
from tenants import clock
from tenants.context import acting_as
from tests.gateway.diagnosis.scenes import PRICE, Patient
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, make_client
from tests.worlds import ACCOUNT, PROGRAM

FAILED = {"code": "not_done", "detail": "FortiFlex did not do it.", "upstream": "its own words"}
USED_TOKEN = {
    "code": "token_used",
    "severity": "notice",
    "message": "Its licence token is used and activates no other machine. For a rebuilt one ask for a new token first.",
    "since": None,
    "details": {},
}


def test_a_sound_entitlement_has_a_whole_answer(patient: Patient) -> None:
    answer = patient.ask()
    assert answer == {
        "serial_number": patient.serial,
        "checked_at": answer["checked_at"],
        "mirror": {"synced_at": answer["mirror"]["synced_at"], "age_seconds": answer["mirror"]["age_seconds"]},
        "findings": [USED_TOKEN],
        "left_out": [],
    }
    assert 0 <= answer["mirror"]["age_seconds"] < 60
    assert answer["mirror"]["synced_at"] < answer["checked_at"]
    assert patient.ask("operator")["findings"] == [USED_TOKEN]


def test_the_worst_comes_first(patient: Patient) -> None:
    failed = patient.operate("reactivate", "failed", error=FAILED)
    patient.set(status="STOPPED", end_day=patient.ago(1))
    findings = patient.ask()["findings"]
    assert findings == [
        {
            "code": "operation_failed",
            "severity": "problem",
            "message": "The last change was not done (reactivate). FortiFlex did not do it. "
            "Ask again; the same Idempotency-Key starts the next attempt.",
            "since": f"{failed.settled_at:%Y-%m-%dT%H:%M:%S.%f}Z",
            "details": {
                "operation": str(failed.id),
                "kind": "reactivate",
                "error": {"code": "not_done", "detail": "FortiFlex did not do it."},
            },
        },
        {
            "code": "stopped",
            "severity": "warning",
            "message": "It is stopped and consumes nothing after the day of its stop. Reactivate it if it should run.",
            "since": str(patient.ago(1)),
            "details": {},
        },
        USED_TOKEN,
    ]


def test_a_foreign_serial_answers_as_one_that_never_was(patient: Patient) -> None:
    answers = []
    for serial in (patient.serial, "FGVMMLTM99999999"):
        answer = patient.people.globex.get(f"entitlements/{serial}/diagnosis")
        answers.append((answer.status_code, {k: v for k, v in answer.json().items() if k != "request_id"}))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    patient.give("globex", in_days=2)
    assert patient.people.globex.get(f"entitlements/{patient.serial}/diagnosis").status_code == 404, "not theirs yet"


def test_who_owned_it_once_is_told_of_its_own_days_alone(patient: Patient) -> None:
    mine = patient.operate("stop", "failed", error=FAILED)
    patient.give("globex")
    patient.operate("stop", "unknown", slug="globex")
    patient.set(status="STOPPED", end_day=patient.ago(0), description="globex's")
    answer = patient.ask()
    assert answer == {
        "serial_number": patient.serial,
        "checked_at": answer["checked_at"],
        "mirror": None,
        "findings": [
            {
                "code": "operation_failed",
                "severity": "problem",
                "message": "The last change was not done (stop). FortiFlex did not do it. "
                "Ask again; the same Idempotency-Key starts the next attempt.",
                "since": f"{mine.settled_at:%Y-%m-%dT%H:%M:%S.%f}Z",
                "details": {
                    "operation": str(mine.id),
                    "kind": "stop",
                    "error": {"code": "not_done", "detail": "FortiFlex did not do it."},
                },
            },
            {
                "code": "handed_over",
                "severity": "notice",
                "message": "It is not yours any more. Its points until then are yours; ask your operator about anything else.",
                "since": str(patient.day),
                "details": {"from_day": str(patient.ago(20)), "until_day": str(patient.day)},
            },
        ],
        "left_out": [],
    }


def test_a_new_owner_is_told_nothing_of_the_days_and_changes_before(patient: Patient) -> None:
    for days_ago in (1, 2, 3):
        patient.set_day(days_ago, points=PRICE * 2)
    patient.set_day(4, state="conflict")
    patient.operate("stop", "failed", error=FAILED)
    patient.operate("reactivate", "succeeded")
    patient.give("globex")
    patient.set(status="STOPPED", end_day=patient.ago(0))
    codes = [found["code"] for found in patient.ask("globex")["findings"]]
    assert codes == ["stopped", "token_used", "config_managed"]
    operators = {found["code"] for found in patient.ask("operator")["findings"]}
    assert {"points_differ", "points_in_conflict", "changed_outside"} <= operators, "the operator sees it whole"


def test_what_others_do_changes_nothing(patient: Patient) -> None:
    """In the same account, under the same config of the catalogue, through the same API user."""
    patient.set_config(tenant=None)
    before = patient.ask()["findings"]
    found = patient.world.sandbox.create_vm(patient.config, count=3)
    patient.world.sync()
    give(found, "globex", patient.day)
    for state, more in (
        ("planned", {"deferred": True}),
        ("sent", {}),
        ("unknown", {}),
        ("failed", {"error": FAILED}),
        ("succeeded", {}),
    ):
        patient.operate("stop", state, slug="globex", serial_numbers=found[:1], **more)
        patient.operate("create_vm", state, slug="globex", serial_numbers=[], **more)
    patient.set_tenant("globex", limits={"entitlements": 1, "points_per_day": "1"})
    with acting_as(SETUP):
        Entitlement.objects.filter(serial_number__in=found).update(proposed_tenant="initech", vanished_at=clock.now())
        Refusal.objects.create(
            api_user=patient.world.api_user,
            call="entitlements/list",
            program_serial=PROGRAM,
            account_id=ACCOUNT + 1,
            reason="another account's",
            ask_again_at=clock.now(),
        )
    assert patient.ask()["findings"] == before
    told = str(patient.ask()) + str(patient.people.acme.get(f"entitlements/{patient.serial}/diagnosis").headers)
    assert not [mark for mark in ("globex", "initech", *found) if mark in told]


@pytest.mark.parametrize(
    ("scopes", "left_out"),
    [
        (["entitlements:read"], ["consumption:read", "operations:read"]),
        (["entitlements:read", "operations:read"], ["consumption:read"]),
        (["entitlements:read", "consumption:read"], ["operations:read"]),
        (["entitlements:read", "consumption:read", "operations:read"], []),
    ],
)
def test_what_a_token_may_not_read_is_left_out_and_named(
    patient: Patient, scopes: list[str], left_out: list[str]
) -> None:
    for days_ago in (1, 2):
        patient.set_day(days_ago, points=None)
    patient.operate("stop", "failed", error=FAILED)
    client = make_client(slug="acme", scopes=scopes)
    answer = client.get(f"entitlements/{patient.serial}/diagnosis").json()
    assert answer["left_out"] == left_out
    codes = {found["code"] for found in answer["findings"]}
    told = {"operation_failed": "operations:read", "points_absent": "consumption:read"}
    assert codes == {"token_used"} | {code for code, scope in told.items() if scope in scopes}
    assert {rule.scope for rule in RULES} == {None, "operations:read", "consumption:read"}


def test_a_narrowed_token_sees_what_it_names_and_not_how_much_else_there_is(patient: Patient) -> None:
    patient.set_tenant(limits={"entitlements": 1, "points_per_day": "1"})
    named = make_client(slug="acme", entitlements=[patient.serial])
    assert named.get(f"entitlements/{patient.serial}/diagnosis").json()["findings"] == [USED_TOKEN]
    assert "entitlements_limit_reached" in {found["code"] for found in patient.ask()["findings"]}
    [other] = patient.world.sandbox.create_vm(patient.config)
    patient.world.sync()
    give([other], "acme", patient.day)
    narrowed = make_client(slug="acme", entitlements=[other])
    assert narrowed.get(f"entitlements/{patient.serial}/diagnosis").status_code == 404


def test_the_licence_token_is_no_part_of_it(patient: Patient) -> None:
    patient.set(token="0123456789ABCDEF0123", token_status="NOTUSED")
    for who in ("acme", "operator"):
        assert "0123456789ABCDEF0123" not in str(patient.ask(who))


@pytest.mark.parametrize("who", ["acme", "operator"])
def test_it_costs_the_same_statements_however_much_there_is(patient: Patient, who: str) -> None:
    patient.operate("stop", "planned", deferred=True)
    patient.set_tenant(limits={"entitlements": 1})
    patient.ask(who)  # the day's flip and the token's last use are written once

    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            patient.ask(who)
        return len(captured)

    before = count()
    found = patient.world.sandbox.create_vm(patient.config, count=5)
    patient.world.sync()
    give(found, "globex", patient.day)
    give(found, "acme", patient.day + timedelta(days=1))
    for _ in range(20):
        patient.operate("stop", "failed", error=FAILED)
        patient.operate("update_entitlement", "succeeded", intent={"config_id": 1})
        patient.operate("update_config", "succeeded", serial_numbers=[])
        patient.operate("stop", "planned", deferred=True)
    patient.give("globex", in_days=2)
    patient.give("acme", in_days=4)
    with acting_as(SETUP):
        for call in ("programs/list", "configs/list", "entitlements/list"):
            Refusal.objects.create(
                api_user=patient.world.api_user,
                call=call,
                program_serial="" if call == "programs/list" else PROGRAM,
                account_id=ACCOUNT if call == "entitlements/list" else 0,
                reason="x",
                ask_again_at=clock.now(),
            )
    assert (before, count()) == ({"acme": 33, "operator": 34}[who],) * 2
