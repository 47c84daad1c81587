"""What a change of owner does to the periods of one serial. No query in here: the periods are handed in, and what came of them handed out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from gateway.models import Assignment, Entitlement
from tenants.models import Tenant


class UnknownSerials(LookupError):
    """Serials that neither the mirror nor the ledger knows."""

    def __init__(self, serials: Sequence[str]) -> None:
        super().__init__(f"Unknown serials: {', '.join(serials[:5])}.")
        self.serials = list(serials)


@dataclass(frozen=True, slots=True)
class Change:
    """`tenant` owns `serial_number` from `from_day` on; None = nobody does."""

    serial_number: str
    tenant: Tenant | None
    from_day: date


@dataclass(frozen=True, slots=True)
class Step:
    """What one change came to. `owner`: whose its `from_day` was before; `losers`: tenants that lose days, each told by itself.

    `assignment`: the period that the change made, or the one that says so already (then `changed` is False); None = nobody's.
    """

    change: Change
    owner: Tenant | None
    losers: frozenset[UUID]
    assignment: Assignment | None
    changed: bool


@dataclass(slots=True)
class Timeline:
    """The periods of one serial, by day, and the text and labels that its owner of today holds.

    `removed`, `cut` and `made` are what must be written to the database, in this order: it takes no two owners, not even for a moment.
    `cut` has another end from then on, or none.
    """

    periods: list[Assignment]
    today: date
    holder: UUID | None
    description: str
    labels: dict[str, Any]
    removed: list[Assignment] = field(default_factory=list)
    cut: list[Assignment] = field(default_factory=list)
    made: list[Assignment] = field(default_factory=list)

    @classmethod
    def of(cls, row: Entitlement | None, periods: Sequence[Assignment], *, today: date) -> "Timeline":
        """`row` None = the mirror never saw it; the ledger alone knows its points."""
        if row is None:
            return cls(list(periods), today, None, "", {})
        return cls(list(periods), today, row.tenant_id, row.description, row.labels)

    def hand_over(self, change: Change, *, by: str) -> Step:
        """Later periods are replaced, and the one that covers the day ends there."""
        tenant, day = change.tenant, change.from_day
        owner = self._owner_on(day)
        later = [period for period in self.periods if period.until_day is None or period.until_day > day]
        if tenant is None and not later:
            return Step(change, None, frozenset(), None, changed=False)
        if tenant is not None and len(later) == 1:
            only = later[0]
            if only.tenant_id == tenant.id and only.from_day <= day and only.until_day is None:
                return Step(change, only.tenant, frozenset(), only, changed=False)
        for period in later:
            self._end(period, day)
        made = None if tenant is None else self._go_on(tenant, day) or self._begin(change, tenant, by)
        self._follow_holder()
        losers = frozenset(period.tenant_id for period in later) - {tenant.id if tenant else None}
        return Step(change, owner, losers, made, changed=True)

    def _end(self, period: Assignment, day: date) -> None:
        if period.from_day >= day:
            self.periods.remove(period)
            if period in self.made:
                self.made.remove(period)
            else:
                self.removed.append(period)
            return
        period.until_day = day
        if period not in self.made and period not in self.cut:
            self.cut.append(period)

    def _go_on(self, tenant: Tenant, day: date) -> Assignment | None:
        """The period of `tenant` that was to end on this day: it goes on, with its text and labels, as if nothing had been arranged.

        Not if it is an old one of whoever holds it today: what the holder writes now stands in a later period.
        """
        period = next((one for one in self.periods if one.until_day == day and one.tenant_id == tenant.id), None)
        if period is None or (self.holder == tenant.id and not self._covers(period, self.today)):
            return None
        period.until_day = None
        if period not in self.made and period not in self.cut:
            self.cut.append(period)
        return period

    def _begin(self, change: Change, tenant: Tenant, by: str) -> Assignment:
        # A text or label of one owner is not the next one's, nor does it wait with nobody in between: losing the owner empties it
        # (flip_owners). What nobody owned so far keeps its text.
        keep = self.holder in {None, tenant.id}
        made = Assignment(
            tenant=tenant,
            serial_number=change.serial_number,
            from_day=change.from_day,
            description=self.description if keep else "",
            labels=self.labels if keep else {},
            created_by=by,
        )
        self.periods.append(made)
        self.made.append(made)
        return made

    def _follow_holder(self) -> None:
        """Several changes of one serial in one go leave behind what as many calls one after another would."""
        now = next((period for period in self.periods if self._covers(period, self.today)), None)
        holder = now.tenant_id if now else None
        if holder != self.holder:
            self.holder = holder
            self.description, self.labels = (now.description, now.labels) if now else ("", {})

    def _owner_on(self, day: date) -> Tenant | None:
        return next((period.tenant for period in self.periods if self._covers(period, day)), None)

    @staticmethod
    def _covers(period: Assignment, day: date) -> bool:
        return period.from_day <= day and (period.until_day is None or day < period.until_day)
