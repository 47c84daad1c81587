"""Each finding by itself: what is wrong, who is told of it, since when, and with which details. No code without its case."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings

from gateway.diagnosis import CODES, RULES
from gateway.models import Config, EndDateCalibration, Refusal, UpstreamCall, UpstreamLane
from gateway.tags import join_tag, make_tag
from tenants import clock, ids
from tenants.context import acting_as
from tests.gateway.diagnosis.scenes import PRICE, Patient
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, People
from tests.worlds import ACCOUNT, PROGRAM

Details = Callable[[Patient, Any], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Case:
    """`arrange` makes it wrong and may hand something on. `acme` and `operator` = the details that each is told; None = nothing at all."""

    arrange: Callable[[Patient], Any]
    acme: Details
    operator: Details
    since: Callable[[Patient, Any], Any] = field(default=lambda patient, made: None)


def told(**details: Any) -> Details:
    return lambda patient, made: details


def nothing(patient: Patient, made: Any) -> None:
    return None


def both(details: Details) -> dict[str, Details]:
    return {"acme": details, "operator": details}


def shut(patient: Patient) -> Any:
    until = clock.now() + timedelta(minutes=5)
    with acting_as(SETUP):
        UpstreamLane.objects.update_or_create(
            api_user=patient.world.api_user,
            defaults={"closed_until": until, "closed_reason": "limits: FortiFlex answered -10 (HTTP 429)"},
        )
    return until


def refuse(patient: Patient) -> Refusal:
    with acting_as(SETUP):
        return Refusal.objects.create(
            api_user=patient.world.api_user,
            call="entitlements/list",
            program_serial=PROGRAM,
            account_id=ACCOUNT,
            reason="FortiFlex's own words",
            times=3,
            ask_again_at=clock.now() + timedelta(hours=4),
        )


def age(patient: Patient) -> Any:
    moment = clock.now() - timedelta(hours=1)
    patient.set_account(mirrored_at=moment)
    return moment


def gone(patient: Patient) -> Any:
    moment = clock.now() - timedelta(hours=1)
    patient.set(missed_at=moment, vanished_at=moment)
    return moment


def miss(patient: Patient) -> Any:
    moment = clock.now() - timedelta(minutes=20)
    patient.set(missed_at=moment)
    return moment


def fail(patient: Patient) -> Any:
    error = {"code": "upstream_rejected", "detail": "FortiFlex refused this.", "upstream": "Invalid value 7"}
    patient.operate("update_entitlement", "succeeded")
    return patient.operate("stop", "failed", error=error)


def share(patient: Patient) -> None:
    patient.world.sandbox.create_vm(patient.config, count=2)
    patient.world.sync()
    rows = [
        one["serialNumber"] for one in patient.world.sandbox.entitlements() if one["serialNumber"] != patient.serial
    ]
    give(rows[:1], "globex", patient.day)


def cause_errors(patient: Patient) -> None:
    acme = People.tenant("acme")
    with acting_as(SETUP):
        UpstreamCall.objects.create(
            api_user=patient.world.api_user,
            tenant=acme,
            at=clock.now() - timedelta(minutes=50),
            path="x",
            failed=True,
            outcome="rejected",
        )
    patient.set_tenant(limits={"errors_per_hour": 1})


def tell_each(patient: Patient, *days_ago: int, **more: Any) -> None:
    for number in days_ago:
        patient.set_day(number, **more)


def contradict(patient: Patient) -> None:
    with acting_as(SETUP):
        EndDateCalibration.objects.create(api_url=patient.world.api_user.api_url, end_day_counts=None)


def stop_upstream_and_ask_otherwise(patient: Patient) -> Any:
    made = patient.operate("reactivate", "succeeded")
    patient.set(status="STOPPED", end_day=patient.ago(1))
    return made


def days(patient: Patient, *days_ago: int) -> list[str]:
    return [str(patient.ago(number)) for number in days_ago]


def described(made: Any, **more: Any) -> dict[str, Any]:
    return {"operation": str(made.id), "kind": made.kind} | more


def moment(value: Any) -> str:
    return f"{value:%Y-%m-%dT%H:%M:%S.%f}Z"


CASES: dict[str, Case] = {
    "account_unreachable": Case(
        lambda p: disable(p),
        told(),
        told(program=PROGRAM, account_id=ACCOUNT, api_user="main"),
    ),
    "vanished": Case(gone, **both(told()), since=lambda p, made: moment(made)),
    "missed": Case(miss, **both(told()), since=lambda p, made: moment(made)),
    "gate_closed": Case(
        shut,
        told(),
        lambda p, until: {"api_user": "main", "until": moment(until), "reason": "FortiFlex answered -10 (HTTP 429)"},
    ),
    "mirror_refused": Case(
        refuse,
        told(),
        lambda p, made: {
            "refusals": [
                {
                    "call": "entitlements/list",
                    "reason": "FortiFlex's own words",
                    "times": 3,
                    "ask_again_at": moment(made.ask_again_at),
                }
            ]
        },
        since=lambda p, made: moment(made.refused_at),
    ),
    "mirror_old": Case(age, **both(told()), since=lambda p, made: moment(made)),
    "expired": Case(
        lambda p: p.set(status="EXPIRED", end_day=p.ago(3)), **both(told()), since=lambda p, _: str(p.ago(3))
    ),
    "grace_period": Case(lambda p: p.set(status="GRACE_PERIOD"), **both(told())),
    "program_ended": Case(lambda p: p.set_program(end_day=p.ago(2)), **both(told()), since=lambda p, _: str(p.ago(2))),
    "program_without_points": Case(
        lambda p: p.set_program(point_balance=Decimal("-3.5")), nothing, told(point_balance="-3.5000")
    ),
    "stopped": Case(
        lambda p: p.set(status="STOPPED", end_day=p.ago(1)), **both(told()), since=lambda p, _: str(p.ago(1))
    ),
    "end_passed": Case(
        lambda p: p.set(end_day=p.ago(1)), **both(told(status="ACTIVE")), since=lambda p, _: str(p.ago(1))
    ),
    "ends_soon": Case(
        lambda p: p.set(end_day=p.ago(-30)), **both(lambda p, _: {"end_date": str(p.ago(-30)), "days": 30})
    ),
    "program_ends_first": Case(
        lambda p: (p.set_program(end_day=p.ago(-50)), p.set(end_day=p.ago(-51))),
        **both(lambda p, _: {"program_end": str(p.ago(-50)), "end_date": str(p.ago(-51))}),
    ),
    "changed_outside": Case(
        stop_upstream_and_ask_otherwise,
        **both(lambda p, made: {"status": {"operation": str(made.id), "asked": "ACTIVE", "found": "STOPPED"}}),
    ),
    "never_activated": Case(
        lambda p: p.set(status="PENDING", token_status="NOTUSED"),
        **both(told()),
        since=lambda p, _: str(p.ago(20)),
    ),
    "token_unused_but_charged": Case(
        lambda p: p.set(token_status="NOTUSED"),
        **both(told()),
    ),
    "token_void_at_hand_over": Case(
        lambda p: (p.set(token_status="NOTUSED"), p.give("globex", in_days=4)),
        **both(lambda p, _: {"from_day": str(p.ago(-4))}),
    ),
    "token_being_renewed": Case(
        lambda p: p.operate("renew_token", "planned", intent={"because": "handover"}, deferred=True),
        **both(lambda p, made: {"operation": str(made.id)}),
        since=lambda p, made: moment(made.created_at),
    ),
    "token_used": Case(lambda p: None, **both(told())),
    "operation_for_a_person": Case(
        lambda p: p.operate("stop", "unknown"),
        **both(lambda p, made: described(made)),
        since=lambda p, made: moment(made.sent_at),
    ),
    "operation_failed": Case(
        fail,
        lambda p, made: described(made, error={"code": "upstream_rejected", "detail": "FortiFlex refused this."}),
        lambda p, made: described(
            made,
            error={"code": "upstream_rejected", "detail": "FortiFlex refused this.", "upstream": "Invalid value 7"},
        ),
        since=lambda p, made: moment(made.settled_at),
    ),
    "operation_unknown": Case(
        lambda p: p.operate("stop", "unknown", next_check_at=clock.now() + timedelta(seconds=60)),
        **both(lambda p, made: described(made, next_check_at=moment(made.next_check_at))),
        since=lambda p, made: moment(made.sent_at),
    ),
    "operation_sent": Case(
        lambda p: p.operate("stop", "sent", next_check_at=clock.now() + timedelta(seconds=60)),
        **both(lambda p, made: described(made, next_check_at=moment(made.next_check_at))),
        since=lambda p, made: moment(made.sent_at),
    ),
    "operation_planned": Case(
        lambda p: p.operate("stop", "planned", next_check_at=clock.now(), deferred=True),
        **both(lambda p, made: described(made, position=1, next_check_at=moment(made.next_check_at))),
        since=lambda p, made: moment(made.created_at),
    ),
    "config_disabled": Case(lambda p: p.set_config(status="DISABLED"), **both(lambda p, _: {"config": p.config})),
    "config_vanished": Case(
        lambda p: p.set_config(vanished_at=clock.now()) or read_config(p).vanished_at,
        **both(lambda p, _: {"config": p.config}),
        since=lambda p, made: moment(made),
    ),
    "config_changing": Case(
        lambda p: p.operate("update_config", "planned", serial_numbers=[]),
        **both(lambda p, made: {"config": p.config, "operation": str(made.id)}),
        since=lambda p, made: moment(made.created_at),
    ),
    "config_managed": Case(lambda p: p.set_config(tenant=None), lambda p, _: {"config": p.config}, nothing),
    "config_shared": Case(
        share, nothing, lambda p, _: {"config": p.config, "entitlements": {"acme": 1, "globex": 1, "unassigned": 1}}
    ),
    "changes_hands": Case(
        lambda p: p.give("globex", in_days=4),
        lambda p, _: {"from_day": str(p.ago(-4))},
        lambda p, _: {"from_day": str(p.ago(-4)), "tenant": "globex"},
    ),
    "tag_of_another": Case(
        lambda p: p.set(upstream_description=join_tag("", make_tag("globex", ids.new_id(), 1))),
        nothing,
        told(tag="globex", owner="acme"),
    ),
    "tag_missing": Case(
        lambda p: p.set(upstream_description="typed over"), nothing, told(upstream_description="typed over")
    ),
    "owner_suspended": Case(lambda p: p.set_tenant(status="suspended"), nothing, told(tenant="acme")),
    "calibration_contradictory": Case(contradict, nothing, told()),
    "points_missing": Case(
        lambda p: (p.forget_day(1), p.forget_day(2), tell_each(p, 4, state="unanswered")),
        **both(lambda p, _: {"days": days(p, 4, 2)}),
        since=lambda p, _: str(p.ago(4)),
    ),
    "points_uncalibrated": Case(
        lambda p: tell_each(p, 3, 1, state="uncalibrated"),
        **both(lambda p, _: {"days": days(p, 3, 1)}),
        since=lambda p, _: str(p.ago(3)),
    ),
    "points_in_conflict": Case(
        lambda p: tell_each(p, 2, state="conflict"),
        **both(lambda p, _: {"days": days(p, 2)}),
        since=lambda p, _: str(p.ago(2)),
    ),
    "points_absent": Case(
        lambda p: tell_each(p, 2, 1, points=None),
        **both(lambda p, _: {"days": days(p, 2, 1), "points_per_day": "6.3900"}),
        since=lambda p, _: str(p.ago(2)),
    ),
    "points_though_stopped": Case(
        lambda p: p.set(status="STOPPED", end_day=p.ago(3)),
        **both(lambda p, _: {"days": [{"day": day, "points": "6.3900"} for day in days(p, 2, 1)]}),
        since=lambda p, _: str(p.ago(2)),
    ),
    "points_differ": Case(
        lambda p: tell_each(p, 2, 1, points=PRICE * 2),
        **both(
            lambda p, _: {
                "expected": "6.3900",
                "days": [{"day": day, "points": "12.7800"} for day in days(p, 2, 1)],
            }
        ),
        since=lambda p, _: str(p.ago(2)),
    ),
    "entitlements_limit_reached": Case(
        lambda p: p.set_tenant(limits={"entitlements": 1}), **both(told(limit=1, running=1))
    ),
    "points_limit_reached": Case(
        lambda p: p.set_tenant(limits={"points_per_day": "6.39"}),
        **both(told(limit="6.39", points_per_day="6.3900")),
    ),
}
TOLD_BELOW = {"unassigned", "owner_proposed", "errors_used_up", "handed_over"}  # the last one in test_walls


def disable(patient: Patient) -> None:
    with acting_as(SETUP):
        type(patient.world.api_user).objects.update(enabled=False)


def read_config(patient: Patient) -> Config:
    with acting_as(SETUP):
        return Config.objects.get(id=patient.config)


@pytest.mark.parametrize("code", CASES)
def test_a_finding_is_told_to_whom_it_concerns(patient: Patient, code: str) -> None:
    case, rule = CASES[code], next(rule for rule in RULES if rule.code == code)
    if code != "token_used":
        assert [patient.find(code, who) for who in ("acme", "operator")] == [None, None], (
            "told of where nothing is wrong"
        )
    made = case.arrange(patient)
    for who, details in (("acme", case.acme), ("operator", case.operator)):
        if who == "acme" and code == "owner_suspended":
            continue  # its tokens are asleep
        found, wanted = patient.find(code, who), details(patient, made)
        assert found == (
            None
            if wanted is None
            else {
                "code": code,
                "severity": rule.severity,
                "message": found and found["message"],
                "since": case.since(patient, made),
                "details": wanted,
            }
        ), who
        assert found is None or found["message"].endswith("."), "a sentence that says what to do"
        assert rule.operators_only == (case.acme(patient, made) is None) or code == "config_managed"


def test_what_nobody_owns_is_told_to_the_operator(patient: Patient) -> None:
    patient.give(None)
    patient.set(proposed_tenant="globex")
    codes = [found["code"] for found in patient.ask("operator")["findings"]]
    assert codes == ["unassigned", "token_used", "owner_proposed"]
    assert patient.find("owner_proposed", "operator")["details"] == {"tenant": "globex"}  # type: ignore[index]
    patient.give("globex", in_days=3)
    assert patient.find("changes_hands", "operator")["details"] == {  # type: ignore[index]
        "from_day": str(patient.ago(-3)),
        "tenant": "globex",
    }


def test_used_up_errors_say_how_long(patient: Patient) -> None:
    cause_errors(patient)
    for who in ("acme", "operator"):
        found = patient.find("errors_used_up", who)
        assert found is not None
        assert 500 < found["details"]["seconds"] <= 601


def test_every_code_has_a_case() -> None:
    assert set(CASES) | TOLD_BELOW == set(CODES)
    assert len(set(CODES)) == len(CODES)


def test_the_documentation_tells_the_same_as_the_registry() -> None:
    text = (settings.BASE_DIR / "docs" / "diagnosis.md").read_text()
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| `")]
    told_there = {tuple(cell.strip() for cell in row) for row in rows}
    here = {
        (
            f"`{rule.code}`",
            str(rule.severity),
            "operator" if rule.operators_only else "past owner too" if rule.for_past_owners else "everybody",
            f"`{rule.scope}`" if rule.scope else "",
            rule.summary,
        )
        for rule in RULES
    }
    assert told_there == here
