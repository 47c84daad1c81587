"""entitlements/points: totals of the days that the tenant owned, from the ledger, as exact JSON numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from gateway.ledger.models import EndDateCalibration, LedgerEntry
from tenants.context import acting_as
from tests.gateway.dropin.clients import DONE, FlexClient, refused
from tests.gateway.ledger.scenes import give, noon_of, pull, vm, world_on
from tests.people import SETUP, People, make_client
from tests.worlds import ACCOUNT, PROGRAM, SandboxWorld

FIRST, TODAY = date(2026, 8, 10), date(2026, 8, 20)
PLACE = {"accountId": ACCOUNT, "programSerialNumber": PROGRAM}
AUGUST = {"startDate": "2026-08-01", "endDate": "2026-08-31"}


@dataclass
class Lived:
    """Acme owned `moved` from the 10th to the 14th and `kept` from the 10th on; globex has `moved` since the 15th."""

    world: SandboxWorld
    kept: str
    moved: str
    acme: FlexClient
    globex: FlexClient


@pytest.fixture
def lived(people: People) -> Iterator[Lived]:
    with noon_of(FIRST):
        world = world_on(FIRST)
        kept, moved = vm(world, day=FIRST), vm(world, day=FIRST)
        world.sync()
        give([kept, moved], "acme", FIRST)
    with noon_of(date(2026, 8, 15)):
        give([moved], "globex", date(2026, 8, 15))
    with noon_of(TODAY):
        pull(world)
        yield Lived(world, kept, moved, FlexClient(people.acme), FlexClient(people.globex))


def points(client: FlexClient, **body: Any) -> list[tuple[str, Decimal]]:
    return [(row["serialNumber"], row["points"]) for row in client.ok("entitlements/points", body)["entitlements"]]


def test_each_owner_gets_the_days_it_owned(lived: Lived) -> None:
    per_day = Decimal("6.39")
    assert points(lived.acme, **PLACE, **AUGUST) == [(lived.kept, per_day * 10), (lived.moved, per_day * 5)]
    assert points(lived.globex, **PLACE, **AUGUST) == [(lived.moved, per_day * 5)]
    answer = lived.acme.ok("entitlements/points", {**PLACE, **AUGUST, "serialNumber": lived.moved})
    assert answer == DONE | {
        "entitlements": [{"serialNumber": lived.moved, "accountId": ACCOUNT, "points": Decimal("31.95")}]
    }
    assert points(lived.globex, **PLACE, **AUGUST, serialNumber=lived.kept) == []
    assert points(lived.acme, programSerialNumber=PROGRAM, **AUGUST) == points(lived.acme, **PLACE, **AUGUST)


def test_the_wire_has_the_digits_and_no_float(lived: Lived) -> None:
    raw = lived.acme.http.generic(
        "POST",
        "/ES/api/fortiflex/v2/entitlements/points",
        data=f'{{"configId": {lived.world.config_id}, "startDate": "2026-08-10", "endDate": "2026-08-12"}}',
        content_type="application/json",
        headers={"Authorization": f"Bearer {lived.acme.access_token}"},
    ).content
    assert raw.count(b'"points":19.17') == 2


def test_by_config_a_past_owner_still_finds_its_days(lived: Lived, people: People) -> None:
    config = lived.world.config_id
    assert points(lived.acme, configId=config, **AUGUST) == points(lived.acme, **PLACE, **AUGUST)
    with noon_of(date(2026, 8, 18)):
        give([lived.kept], None, date(2026, 8, 18))
    with noon_of(TODAY):
        gone = FlexClient(people.acme)  # nothing is acme's any more, and no config either
        assert gone.ok("configs/list", {"programSerialNumber": PROGRAM})["configs"] == []
        assert points(gone, configId=config, **AUGUST) == [
            (lived.kept, Decimal("51.12")),
            (lived.moved, Decimal("31.95")),
        ]
        people.operator.patch("tenants/acme", {"programs": []})
        assert points(gone, **PLACE, **AUGUST) == [(lived.kept, Decimal("51.12")), (lived.moved, Decimal("31.95"))]


def test_the_last_day_counts_unless_the_calibration_of_the_url_says_otherwise(lived: Lived) -> None:
    body = {**PLACE, "startDate": "2026-08-10", "endDate": "2026-08-12", "serialNumber": lived.kept}
    assert points(lived.acme, **body) == [(lived.kept, Decimal("19.17"))]
    with acting_as(SETUP):
        EndDateCalibration.objects.create(api_url=lived.world.api_user.api_url, end_day_counts=False)
    assert points(lived.acme, **body) == [(lived.kept, Decimal("12.78"))]
    assert points(lived.acme, **(body | {"endDate": "2026-08-10"})) == []
    assert points(lived.acme, **(body | {"accountId": None})) == [(lived.kept, Decimal("12.78"))]
    with acting_as(SETUP):
        EndDateCalibration.objects.create(api_url=lived.world.api_user.api_url, end_day_counts=None)
    assert points(lived.acme, **body) == [(lived.kept, Decimal("19.17"))]


@pytest.mark.parametrize(
    "form", ["2026-08-12", "2026-08-12T00:00:00", "2026-08-12 23:59:59", "2026-08-12T06:00:00-07:00"]
)
def test_every_form_of_a_date_is_its_pacific_day(lived: Lived, form: str) -> None:
    body = {**PLACE, "startDate": form, "endDate": form, "serialNumber": lived.kept}
    assert points(lived.acme, **body) == [(lived.kept, Decimal("6.39"))]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "startDate is required."),
        (AUGUST, "Either configId, or accountId and programSerialNumber, is required."),
        ({**PLACE, "startDate": "2026-08-02", "endDate": "2026-08-01"}, "Invalid date range."),
        ({**PLACE, "startDate": "yesterday", "endDate": "2026-08-01"}, "Invalid value for startDate."),
        ({**PLACE, "startDate": "2026-02-30", "endDate": "2026-08-01"}, "Invalid value for startDate."),
        ({**AUGUST, "configId": 7}, "Configuration not found."),
        ({**AUGUST, **PLACE, "programSerialNumber": "ELAVMS0000000099"}, "Program serial number is invalid."),
        ({**AUGUST, **PLACE, "accountId": 7}, "Account is invalid."),
    ],
)
def test_what_can_t_be_is_refused(lived: Lived, body: dict[str, Any], message: str) -> None:
    assert lived.acme.call("entitlements/points", body) == (400, refused(message))


def test_nothing_older_than_90_days_is_told(lived: Lived) -> None:
    with acting_as(SETUP):
        row = LedgerEntry.objects.filter(serial_number=lived.kept).first()
        assert row is not None
        for days, amount in ((90, "1.0000"), (91, "2.0000")):
            LedgerEntry.objects.create(
                day=TODAY - timedelta(days=days), serial_number=lived.kept, program_serial=PROGRAM, account_id=ACCOUNT,
                points=Decimal(amount), tenant_id=row.tenant_id, fetch_id=row.fetch_id,
            )  # fmt: skip
    body = {**PLACE, "startDate": "1900-01-01", "endDate": "2026-06-30", "serialNumber": lived.kept}
    assert points(lived.acme, **body) == [(lived.kept, Decimal("1"))]


def test_a_narrowed_token_counts_what_it_names(lived: Lived) -> None:
    one = FlexClient(make_client(slug="acme", entitlements=[lived.kept]))
    assert points(one, **PLACE, **AUGUST, serialNumber=lived.kept) == [(lived.kept, Decimal("63.9"))]
    assert points(one, **PLACE, **AUGUST, serialNumber=lived.moved) == []
    assert one.call("entitlements/points", {**PLACE, **AUGUST}) == (403, refused("Authorization denied."))


def test_points_are_asked_of_nobody(lived: Lived) -> None:
    asked = len(lived.world.sandbox.calls)
    points(lived.acme, **PLACE, **AUGUST)
    assert len(lived.world.sandbox.calls) == asked
