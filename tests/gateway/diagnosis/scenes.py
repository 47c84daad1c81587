"""One entitlement of acme's with which nothing is the matter; each test makes one thing wrong."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from gateway.days import today
from gateway.fortiflex.days import pacific_moment
from gateway.ledger.store import ensure_month
from gateway.models import (
    AccountDay,
    Config,
    EndDateCalibration,
    Entitlement,
    Operation,
    Placement,
    PointsFetch,
    Program,
    ProgramAccount,
)
from gateway.tags import join_tag, make_tag
from tenants import clock, ids
from tenants.context import acting_as
from tenants.models import Tenant
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, People
from tests.worlds import ACCOUNT, API_URL, ENT_2, PROGRAM, SandboxWorld

PRICE = Decimal("6.3900")
OWNED_FOR = 20


@dataclass(slots=True)
class Patient:
    people: People
    world: SandboxWorld
    serial: str
    config: int
    day: date

    def set(self, **fields: Any) -> None:
        with acting_as(SETUP):
            Entitlement.objects.filter(serial_number=self.serial).update(**fields)

    def set_config(self, **fields: Any) -> None:
        with acting_as(SETUP):
            Config.objects.filter(id=self.config).update(**fields)

    def set_program(self, **fields: Any) -> None:
        with acting_as(SETUP):
            Program.objects.filter(serial_number=PROGRAM).update(**fields)

    def set_account(self, **fields: Any) -> None:
        with acting_as(SETUP):
            ProgramAccount.objects.update(**fields)

    def set_tenant(self, slug: str = "acme", **fields: Any) -> None:
        with acting_as(SETUP):
            Tenant.objects.filter(slug=slug).update(**fields)

    def give(self, slug: str | None, *, in_days: int = 0) -> None:
        give([self.serial], slug, self.day + timedelta(days=in_days))

    def ago(self, days: int) -> date:
        return self.day - timedelta(days=days)

    def operate(self, kind: str, state: str, *, slug: str | None = "acme", **more: Any) -> Operation:
        """A row of the journal, as if it had come to this state just now."""
        now = clock.now()
        settled = state in {"succeeded", "failed"}
        with acting_as(SETUP):
            return Operation.objects.create(
                kind=kind,
                state=state,
                tenant=Tenant.objects.get(slug=slug) if slug else None,
                api_user=self.world.api_user,
                program_serial=PROGRAM,
                account_id=ACCOUNT,
                asked_by="test",
                sent_at=None if state == "planned" else now,
                settled_at=now if settled else None,
                **{"serial_numbers": [self.serial], "config_id": self.config, "created_at": now} | more,
            )

    def set_day(self, days_ago: int, *, points: Decimal | None = PRICE, state: str = "answered") -> None:
        """What FortiFlex said of a day; None = nothing of this serial."""
        day = self.ago(days_ago)
        with acting_as(SETUP):
            fetch = _fetch(self.world.api_user.id, day)
            AccountDay.objects.update_or_create(
                program_serial=PROGRAM,
                account_id=ACCOUNT,
                day=day,
                defaults={"state": state, "fetch": fetch, "fetched_at": fetch.answered_at},
            )
            _store(self.serial, day, points, fetch)

    def forget_day(self, days_ago: int) -> None:
        """As if it had never been asked for."""
        with acting_as(SETUP):
            AccountDay.objects.filter(day=self.ago(days_ago)).update(day=self.ago(days_ago + 300))

    def ask(self, who: str = "acme") -> dict[str, Any]:
        answer = getattr(self.people, who).get(f"entitlements/{self.serial}/diagnosis")
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    def find(self, code: str, who: str) -> dict[str, Any] | None:
        found = [one for one in self.ask(who)["findings"] if one["code"] == code]
        assert len(found) <= 1
        return found[0] if found else None


def make_patient(people: People, world: SandboxWorld) -> Patient:
    """Of acme's own config, active for twenty days, its licence token used, tagged, charged what it should be."""
    day = today()
    config = world.add_config("acmes", ENT_2)
    with world.sandbox.at(pacific_moment(day - timedelta(days=OWNED_FOR), 9)):
        [serial] = world.sandbox.create_vm(config, skipPending=True)
    world.sandbox.use_token(serial)
    world.sandbox.edit_description(serial, join_tag("", make_tag("acme", ids.new_id(), 1)))
    world.sync()
    world.give_config(config, "acme")
    give([serial], "acme", day - timedelta(days=OWNED_FOR))
    patient = Patient(people, world, serial, config, day)
    patient.set_config(points_per_day=PRICE)
    for days_ago in range(1, 8):
        patient.set_day(days_ago)
    with acting_as(SETUP):
        EndDateCalibration.objects.create(api_url=API_URL, end_day_counts=True)
        Placement.objects.filter(serial_number=serial).update(from_day=day - timedelta(days=OWNED_FOR))
    return patient


def _fetch(api_user: UUID, day: date) -> PointsFetch:
    now = clock.now()
    return PointsFetch.objects.create(
        api_user_id=api_user,
        api_url=API_URL,
        program_serial=PROGRAM,
        account_id=ACCOUNT,
        asked_from=day,
        asked_to=day,
        purpose="day",
        sent_at=now,
        answered_at=now,
        outcome="answered",
        body=b"",
        body_sha256="0" * 64,
    )


def _store(serial: str, day: date, points: Decimal | None, fetch: PointsFetch) -> None:
    """Owned as the assignments say, as the ledger itself has it."""
    ensure_month(day)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO gateway_ledgerentry (day, serial_number, program_serial, account_id, points, tenant_id, fetch_id)
            SELECT %(day)s, %(serial)s, %(program)s, %(account)s, %(points)s, (
                SELECT tenant_id FROM gateway_assignment
                WHERE serial_number = %(serial)s AND daterange(from_day, until_day) @> %(day)s::date), %(fetch)s
            ON CONFLICT (day, serial_number, program_serial) DO UPDATE SET points = EXCLUDED.points
            """,
            {
                "day": day,
                "serial": serial,
                "program": PROGRAM,
                "account": ACCOUNT,
                "points": points or Decimal(0),
                "fetch": fetch.id,
            },
        )
