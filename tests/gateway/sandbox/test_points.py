"""Points by FortiFlex's rules, each with an example worked out by hand (FortiGate VM ENT: 2 vCPU 6.39, 4 vCPU 12.91)."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.fortiflex.days import pacific_moment
from gateway.sandbox import Sandbox
from gateway.sandbox.catalogue import PRODUCTS
from gateway.sandbox.checks import check_parameters
from gateway.sandbox.refusals import Refusal
from tests.worlds import ACCOUNT, ENT_2, ENT_4, PROGRAM

DAY = date(2026, 8, 10)
TWO, FOUR = Decimal("6.39"), Decimal("12.91")
Act = Callable[[Sandbox, str, int], None]


@pytest.fixture
def sandbox() -> Sandbox:
    made = Sandbox(pacific_moment(DAY + timedelta(days=10), 12))
    made.add_account(ACCOUNT)
    made.add_program(PROGRAM, account_id=ACCOUNT, start=DAY - timedelta(days=50), end=DAY + timedelta(days=300))
    made.add_api_user("user", "password")
    return made


def begin(sandbox: Sandbox, *, pending: bool = False) -> tuple[str, int]:
    with sandbox.at(pacific_moment(DAY - timedelta(days=1), 8)):
        config = sandbox.create_config(
            program=PROGRAM, name="c", product_type_id=1, parameters=ENT_2, account_id=ACCOUNT
        )["id"]
        return sandbox.create_vm(config, skipPending=not pending)[0], int(config)


def grow(sandbox: Sandbox, serial: str, config: int) -> None:
    sandbox.resize(config, ENT_4)


def grow_and_shrink(sandbox: Sandbox, serial: str, config: int) -> None:
    sandbox.resize(config, ENT_4)
    with sandbox.at(sandbox.clock.now() + timedelta(hours=1)):
        sandbox.resize(config, ENT_2)


def stop(sandbox: Sandbox, serial: str, config: int) -> None:
    sandbox.stop(serial)


def stop_and_reactivate(sandbox: Sandbox, serial: str, config: int) -> None:
    sandbox.stop(serial)
    with sandbox.at(sandbox.clock.now() + timedelta(days=2)):
        sandbox.reactivate(serial)


def disable(sandbox: Sandbox, serial: str, config: int) -> None:
    sandbox.call("configs/disable", id=config)


@pytest.mark.parametrize(
    ("act", "hour", "days"),
    [
        (grow, 23, [TWO, FOUR, FOUR, FOUR]),  # the largest of the day is charged for the whole day
        (grow_and_shrink, 10, [TWO, FOUR, TWO, TWO]),
        (stop, 10, [TWO, TWO, 0, 0]),  # a stop counts from the next day
        (stop_and_reactivate, 10, [TWO, TWO, 0, TWO]),  # a reactivation counts for its day
        (disable, 10, [TWO, TWO, 0, 0]),
    ],
)
def test_a_day_is_charged_whole(sandbox: Sandbox, act: Act, hour: int, days: list[Decimal]) -> None:
    serial, config = begin(sandbox)
    with sandbox.at(pacific_moment(DAY, hour)):
        act(sandbox, serial, config)
    found = [sandbox.points_on(DAY + timedelta(days=n)).get(serial, 0) for n in range(-1, 3)]
    assert found == days


def test_pending_is_free_until_the_token_is_used(sandbox: Sandbox) -> None:
    serial, _ = begin(sandbox, pending=True)
    with sandbox.at(pacific_moment(DAY + timedelta(days=1), 23)):
        sandbox.use_token(serial)
    assert [sandbox.points_on(DAY + timedelta(days=n)).get(serial, 0) for n in range(3)] == [0, TWO, TWO]


def test_the_day_begins_at_pacific_midnight(sandbox: Sandbox) -> None:
    _, config = begin(sandbox)
    with sandbox.at(datetime(2026, 8, 12, 6, 59, tzinfo=UTC)):  # 23:59 Pacific of the 11th
        late = sandbox.create_vm(config, skipPending=True)[0]
    assert sandbox.points_on(date(2026, 8, 11))[late] == TWO
    assert late not in sandbox.points_on(date(2026, 8, 10))


def test_a_correction_wins(sandbox: Sandbox) -> None:
    serial, _ = begin(sandbox)
    sandbox.correct_points(serial, DAY, Decimal("1.23"))
    assert sandbox.points_on(DAY)[serial] == Decimal("1.23")


def test_stop_overwrites_the_end_date_and_reactivate_forgets_it(sandbox: Sandbox) -> None:
    serial, _ = begin(sandbox)
    stopped = sandbox.call("entitlements/stop", serialNumber=serial)["vms"][0]
    assert stopped["endDate"] == "2026-08-20T12:00:00.0000001-07:00"
    active = sandbox.call("entitlements/reactivate", serialNumber=serial)["vms"][0]
    assert active["endDate"] == "2027-06-06T00:00:00"
    with pytest.raises(Refusal) as caught:
        sandbox.reactivate(serial)
    assert caught.value.error["errorCode"] == -1


@pytest.mark.parametrize(
    ("product", "values", "parameter"),
    [
        (1, [(1, "97"), (2, "ENT")], 1),
        (1, [(1, "2"), (2, "GOLD")], 2),
        (1, [(2, "ENT")], 1),
        (1, [(1, "2"), (2, "ENT"), (99, "1")], 99),
        (1, [(1, "2"), (2, "ENT"), (43, "FGTAVDB"), (43, "FGTAVDB")], 43),
        (5, [(13, "24"), (14, "0"), (15, "0"), (16, "FCTFC247")], 13),
        (205, [(48, "50"), (49, "FSASESTD"), (50, "30")], 50),
        (206, [(46, "FEDRPDR"), (47, "5")], 47),
        (208, [(61, "FRNEASM"), (62, "200"), (64, "1")], 64),
    ],
)
def test_a_wrong_parameter_is_named(product: int, values: list[tuple[int, str]], parameter: int) -> None:
    with pytest.raises(Refusal, match=rf"Parameter id {parameter}\b"):
        check_parameters(product, values)


def test_up_only_parameters_can_not_be_lowered() -> None:
    before = check_parameters(205, [(48, "50"), (49, "FSASESTD"), (59, "2")])
    with pytest.raises(Refusal, match="Parameter id 59"):
        check_parameters(205, [(48, "50"), (49, "FSASESTD"), (59, "1")], before=before)
    assert dict(check_parameters(205, [(48, "50"), (49, "FSASESTD"), (59, "3")], before=before))[59] == "3"


def test_every_price_but_two_says_that_it_is_invented(sandbox: Sandbox) -> None:
    def ask(**values: str) -> dict[str, object]:
        parameters = [{"id": int(name[1:]), "value": value} for name, value in values.items()]
        found = sandbox.call("tools/calc", programSerialNumber=PROGRAM, count=1, productTypeId=1, parameters=parameters)
        return dict(found["points"])

    assert (ask(p1="2", p2="ENT")["current"], ask(p1="4", p2="ENT")["current"]) == (TWO, FOUR)
    assert ask(p1="2", p2="ENT")["note"] == "sandbox: public figure"
    assert "invented" in str(ask(p1="8", p2="ENT")["note"])
    assert len(PRODUCTS) == 24


def test_a_prepaid_program_without_points_takes_no_more(sandbox: Sandbox) -> None:
    sandbox.add_program(
        "ELAVMR0000000001",
        account_id=ACCOUNT,
        start=DAY - timedelta(days=5),
        end=DAY + timedelta(days=99),
        point_balance=Decimal(10),
    )
    with sandbox.at(pacific_moment(DAY, 8)):
        config = sandbox.create_config(
            program="ELAVMR0000000001", name="p", product_type_id=1, parameters=ENT_2, account_id=ACCOUNT
        )
        sandbox.create_vm(config["id"], skipPending=True)
    balance = sandbox.call("programs/points", programSerialNumber="ELAVMR0000000001")["programs"][0]["pointBalance"]
    assert balance == -54  # 10 − 10 days × 6.39 = −53.90
    with pytest.raises(Refusal, match="balance"):
        sandbox.create_vm(config["id"])
    with pytest.raises(Refusal, match="prepaid"):
        sandbox.call("programs/points", programSerialNumber=PROGRAM)


def test_the_state_file_keeps_everything(sandbox: Sandbox, tmp_path: Path) -> None:
    serial, _ = begin(sandbox)
    sandbox.correct_points(serial, DAY, Decimal("1.230"))
    sandbox.save(tmp_path / "state.json")
    again = Sandbox.load(tmp_path / "state.json", now=sandbox.clock.now())
    assert again.world == sandbox.world
    assert again.points_on(DAY) == {serial: Decimal("1.230")}
