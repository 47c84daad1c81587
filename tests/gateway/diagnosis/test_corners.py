"""What a diagnosis must not say: each test is named after a wrong alarm, or after one that would have been missed."""

from datetime import timedelta
from decimal import Decimal

from gateway.models import Placement, UpstreamLane
from tenants import clock
from tenants.context import acting_as
from tests.gateway.diagnosis.scenes import PRICE, Patient
from tests.people import SETUP

FAILED = {"code": "not_done", "detail": "FortiFlex did not do it.", "upstream": ""}


def codes(patient: Patient, who: str = "acme") -> set[str]:
    return {found["code"] for found in patient.ask(who)["findings"]}


def test_a_later_change_that_was_done_settles_a_failed_one(patient: Patient) -> None:
    patient.operate("stop", "failed", error=FAILED)
    assert "operation_failed" in codes(patient)
    patient.operate("stop", "failed", error=FAILED | {"code": "cancelled"})
    assert "operation_failed" in codes(patient), "what somebody cancelled settles nothing, and is no failure"
    patient.operate("update_entitlement", "succeeded")
    assert "operation_failed" not in codes(patient)


def test_what_the_last_change_asked_for_is_no_change_outside(patient: Patient) -> None:
    end = patient.ago(-90)
    patient.operate("update_entitlement", "succeeded", intent={"config_id": patient.config, "end_day": end.isoformat()})
    patient.set(end_day=end)
    assert "changed_outside" not in codes(patient)
    patient.set(end_day=end + timedelta(days=1))
    [found] = [one for one in patient.ask()["findings"] if one["code"] == "changed_outside"]
    assert found["details"]["end_date"]["asked"] == str(end)
    patient.operate("stop", "succeeded")
    patient.set(status="STOPPED", end_day=patient.day)
    assert "changed_outside" not in codes(patient), "a stop moves the end date"
    patient.set(status="EXPIRED")
    assert "changed_outside" not in codes(patient), "what was stopped expires by itself"


def test_a_move_to_another_config_outside_is_told(patient: Patient) -> None:
    made = patient.operate("transfer", "succeeded", intent={"target_config": patient.world.config_id})
    [found] = [one for one in patient.ask()["findings"] if one["code"] == "changed_outside"]
    assert found["details"] == {
        "config": {"operation": str(made.id), "asked": patient.world.config_id, "found": patient.config}
    }


def test_an_owners_change_of_an_earlier_time_says_nothing_about_today(patient: Patient) -> None:
    """Stopped by acme, reactivated by globex, acme's again: nobody changed anything outside, and globex is no matter of acme's."""
    patient.give("globex", in_days=-9)
    patient.give("acme", in_days=-4)
    patient.operate("stop", "succeeded", created_at=clock.now() - timedelta(days=12))
    patient.operate("reactivate", "succeeded", slug="globex", created_at=clock.now() - timedelta(days=8))
    assert "changed_outside" not in codes(patient)
    assert "changed_outside" not in codes(patient, "operator")


def test_points_of_the_days_in_between_are_not_told(patient: Patient) -> None:
    patient.give("globex", in_days=-5)
    patient.give("acme", in_days=-3)
    for days_ago in (4, 5):
        patient.set_day(days_ago, state="conflict")
    assert "points_in_conflict" not in codes(patient)
    assert "points_in_conflict" in codes(patient, "operator")


def test_a_day_that_a_change_fell_on_is_not_compared(patient: Patient) -> None:
    patient.set_day(1, points=PRICE * 2)
    assert "points_differ" in codes(patient)
    with acting_as(SETUP):
        Placement.objects.filter(serial_number=patient.serial).update(from_day=patient.ago(1))
    assert "points_differ" not in codes(patient)


def test_days_before_the_config_was_changed_are_not_compared(patient: Patient) -> None:
    patient.set_day(1, points=PRICE * 2)
    patient.operate("update_config", "succeeded", serial_numbers=[])
    assert "points_differ" not in codes(patient)


def test_an_old_difference_that_is_over_is_not_told(patient: Patient) -> None:
    patient.set_day(5, points=PRICE * 2)
    assert "points_differ" not in codes(patient)


def test_what_a_product_meters_itself_has_no_price_to_differ_from(patient: Patient) -> None:
    patient.set_day(1, points=PRICE * 2)
    patient.set_config(parameters=[{"id": 46, "value": "FEDRPDR"}, {"id": 47, "value": "300"}])
    assert "points_differ" not in codes(patient)


def test_one_day_without_points_is_no_alarm_and_two_are(patient: Patient) -> None:
    patient.set_day(1, points=None)
    assert "points_absent" not in codes(patient)
    patient.set_day(2, points=Decimal(0))
    assert "points_absent" in codes(patient)
    patient.set(status="PENDING")
    assert "points_absent" not in codes(patient)


def test_the_day_of_the_stop_is_charged_and_no_alarm(patient: Patient) -> None:
    patient.set(status="STOPPED", end_day=patient.ago(1))
    assert "points_though_stopped" not in codes(patient)


def test_yesterday_may_come_later_and_days_before_the_start_never(patient: Patient) -> None:
    patient.forget_day(1)
    assert "points_missing" not in codes(patient)
    patient.forget_day(6)
    assert "points_missing" in codes(patient)
    patient.set(start_day=patient.ago(5))
    assert "points_missing" not in codes(patient)


def test_a_big_estate_is_read_more_slowly(patient: Patient) -> None:
    patient.set_account(mirrored_at=clock.now() - timedelta(minutes=50))
    assert "mirror_old" in codes(patient)
    with acting_as(SETUP):
        type(patient.world.api_user).objects.update(per_hour=10)
    assert "mirror_old" not in codes(patient)


def test_an_account_that_was_never_read_says_so(patient: Patient) -> None:
    patient.set_account(mirrored_at=None)
    answer = patient.ask()
    assert answer["mirror"] == {"synced_at": None, "age_seconds": None}
    assert "mirror_old" in {found["code"] for found in answer["findings"]}


def test_a_gate_that_opened_again_is_no_finding(patient: Patient) -> None:
    with acting_as(SETUP):
        UpstreamLane.objects.update(closed_until=clock.now() - timedelta(seconds=1), closed_reason="limits: over")
    assert "gate_closed" not in codes(patient)


def test_a_hand_over_to_the_same_owner_is_none(patient: Patient) -> None:
    patient.give("globex", in_days=3)
    patient.give("acme", in_days=3)
    assert "changes_hands" not in codes(patient)
    assert "changes_hands" not in codes(patient, "operator")


def test_a_change_that_waits_for_its_config_is_told_before_it_exists(patient: Patient) -> None:
    made = patient.operate(
        "create_config", "planned", serial_numbers=[], intent={"entitlement": {"serial": patient.serial}}, deferred=True
    )
    [found] = [one for one in patient.ask()["findings"] if one["code"] == "operation_planned"]
    assert found["details"]["operation"] == str(made.id)


def test_a_disabled_config_is_no_alarm_about_points(patient: Patient) -> None:
    for days_ago in (1, 2):
        patient.set_day(days_ago, points=None)
    patient.set_config(status="DISABLED")
    assert codes(patient) == {"config_disabled", "token_used"}


def test_a_config_of_another_tenant_tells_nothing_of_its_changes(patient: Patient) -> None:
    """It came with a hand-over: the config stays globex's."""
    patient.world.give_config(patient.config, "globex")
    patient.operate("update_config", "planned", slug="globex", serial_numbers=[])
    assert codes(patient) == {"config_managed", "token_used"}
    assert "config_changing" in codes(patient, "operator")
