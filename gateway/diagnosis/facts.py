"""What a diagnosis is made of: read once (gateway.diagnosis.reading), then looked at by pure functions. No query in here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from gateway.fortiflex.days import billing_day_at
from gateway.models import Assignment, Entitlement, Operation, Refusal

State = Operation.State


@dataclass(frozen=True, slots=True)
class Reader:
    """The API user that reads the account, and its gate. `accounts` = how many it reads in all."""

    name: str
    enabled: bool
    calls_per_hour: int
    accounts: int
    closed_until: datetime | None
    closed_reason: str


@dataclass(frozen=True, slots=True)
class Place:
    """The program and account in which it stands; `reader` None = nobody reads the account any more."""

    program_end: date | None
    point_balance: Decimal | None
    mirrored_at: datetime | None
    reader: Reader | None
    refusals: Sequence[Refusal] = ()


@dataclass(frozen=True, slots=True)
class ConfigUse:
    """Who else stands under its config, by slug ("" = nobody's): for the operator alone, empty for others. `changing` = a write of it is
    open; `changed_on` = the last day on which one was done lately.
    """

    owners: Mapping[str, int] = field(default_factory=dict)
    changing: Operation | None = None
    changed_on: date | None = None


@dataclass(frozen=True, slots=True)
class PastDay:
    """A billing day of the caller's. `state`: AccountDay's, or "missing"; `steady` = it stood in today's config all that day."""

    day: date
    state: str
    points: Decimal | None
    steady: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator lets its tenant have, and what the tenant has. None = no limit. `wait` = seconds without a right to errors."""

    entitlements: int | None
    running: int
    points_per_day: Decimal | None
    points: Decimal
    wait: int


@dataclass(frozen=True, slots=True)
class Facts:
    """`row` None = the caller owned it once, and what stands there today is not its to see. `sees_all` = the operator.

    `periods` and `operations` (the newest first) are those that the caller may see; `days` are the caller's own of the last week, the
    newest first.
    """

    now: datetime
    day: date
    serial_number: str
    sees_all: bool
    tenant_ids: frozenset[UUID]
    row: Entitlement | None
    periods: Sequence[Assignment] = ()
    operations: Sequence[Operation] = ()
    positions: Mapping[UUID, int] = field(default_factory=dict)
    place: Place | None = None
    use: ConfigUse = field(default_factory=ConfigUse)
    days: Sequence[PastDay] = ()
    end_day_counts: bool | None = None
    calibrated: bool = False
    limits: Limits | None = None

    @property
    def entitlement(self) -> Entitlement:
        """Of rules that look at what stands there today."""
        if self.row is None:
            raise LookupError(f"{self.serial_number} is not the caller's today.")
        return self.row

    @property
    def period(self) -> Assignment | None:
        """The owner's present one."""
        owner = self.row.tenant_id if self.row is not None else None
        return next((one for one in self.periods if one.tenant_id == owner and _covers(one, self.day)), None)

    @property
    def standing(self) -> Place:
        return self.place or Place(None, None, None, None)

    def open_operations(self) -> Iterator[Operation]:
        return (row for row in self.operations if row.settled_at is None)

    def done_since_owned(self) -> Iterator[Operation]:
        """What was done for its present owner, the newest first: what an owner before asked for says nothing about today."""
        period = self.period
        for row in self.operations:
            theirs = self.sees_all or period is None or billing_day_at(row.created_at) >= period.from_day
            if row.state == State.SUCCEEDED and theirs:
                yield row


@dataclass(frozen=True, slots=True)
class Told:
    """What one rule has to say: a sentence that says what to do, since when it is so, and what a program may want to know."""

    message: str
    since: date | datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def _covers(period: Assignment, day: date) -> bool:
    return period.from_day <= day and (period.until_day is None or day < period.until_day)
