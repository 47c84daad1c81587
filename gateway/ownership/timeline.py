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
    """The periods of one serial, by day, and the text and labels that its owner of today holds; `at_first`: before any change.

    `removed`, `cut` and `made` are what must be written to the database, in this order: it takes no two owners, not even for a moment.
    `cut` has another end from then on, or none.
    """

    periods: list[Assignment]
    today: date
    holder: UUID | None
    description: str
    labels: dict[str, Any]
    at_first: tuple[UUID | None, str, dict[str, Any]] = (None, "", {})
    removed: list[Assignment] = field(default_factory=list)
    cut: list[Assignment] = field(default_factory=list)
    made: list[Assignment] = field(default_factory=list)

    @classmethod
    def of(cls, row: Entitlement | None, periods: Sequence[Assignment], *, today: date) -> "Timeline":
        """`row` None = the mirror never saw it; the ledger alone knows its points."""
        if row is None:
            return cls(list(periods), today, None, "", {})
        words = (row.tenant_id, row.description, row.labels)
        return cls(list(periods), today, *words, at_first=words)

    def hand_over(self, change: Change, *, until: date | None, by: str) -> Step:
        """Later periods are replaced, and the one that covers the day ends there.

        `until` = another change follows for that day, so that what stands there later is its matter: where the days before it are the
        owner's already nothing is replaced. A history that is sent twice keeps what its periods hold.
        """
        tenant, day = change.tenant, change.from_day
        standing = self._period_on(day)
        owner = standing.tenant if standing else None
        if self._is_so(tenant, day, until):
            return Step(change, owner, frozenset(), standing, changed=False)
        later = [period for period in self.periods if period.until_day is None or period.until_day > day]
        made = self._that_goes_on(tenant, day) if tenant is not None else None
        for period in later:
            if period is not made:
                self._end(period, day)
        if made is not None:
            self._end_at(made, None)
        elif tenant is not None:
            made = self._begin(change, tenant, by)
        self._follow_holder()
        losers = frozenset(period.tenant_id for period in later) - {tenant.id if tenant else None}
        return Step(change, owner, losers, made, changed=True)

    def _is_so(self, tenant: Tenant | None, day: date, until: date | None) -> bool:
        """Whether each day from `day` on, and before `until`, is the tenant's, or nobody's."""
        reached = day
        for period in sorted(self.periods, key=lambda period: period.from_day):
            if period.until_day is not None and period.until_day <= day:
                continue
            if until is not None and period.from_day >= until:
                break
            if tenant is None or period.tenant_id != tenant.id or period.from_day > reached:
                return False
            if period.until_day is None:
                return True
            reached = period.until_day
        return tenant is None or (until is not None and reached >= until)

    def _end(self, period: Assignment, day: date) -> None:
        if period.from_day >= day:
            self.periods.remove(period)
            if period in self.made:
                self.made.remove(period)
            else:
                self.removed.append(period)
            return
        self._end_at(period, day)

    def _that_goes_on(self, tenant: Tenant, day: date) -> Assignment | None:
        """The period of `tenant` that stands on this day, or was to end on it: it goes on, with its text and labels.

        Not if it is an old one of whoever holds it today: what the holder writes now stands in a later period.
        """
        theirs = [one for one in self.periods if one.tenant_id == tenant.id and one.from_day <= day]
        period = next((one for one in theirs if one.until_day is None or one.until_day >= day), None)
        if period is None or (self.holder == tenant.id and not self._covers(period, self.today)):
            return None
        return period

    def _end_at(self, period: Assignment, day: date | None) -> None:
        period.until_day = day
        if period not in self.made and period not in self.cut:
            self.cut.append(period)

    def _begin(self, change: Change, tenant: Tenant, by: str) -> Assignment:
        description, labels = self._words_for(tenant)
        made = Assignment(
            tenant=tenant,
            serial_number=change.serial_number,
            from_day=change.from_day,
            description=description,
            labels=labels,
            created_by=by,
        )
        self.periods.append(made)
        self.made.append(made)
        return made

    def _words_for(self, tenant: Tenant) -> tuple[str, dict[str, Any]]:
        """A text or label of one owner is not the next one's, nor does it wait with nobody in between: losing the owner empties it
        (flip_owners). What nobody owned so far keeps its text, and who holds it when all is done still has its own.
        """
        if self.holder in {None, tenant.id}:
            return self.description, self.labels
        first_holder, description, labels = self.at_first
        return (description, labels) if tenant.id == first_holder else ("", {})

    def _follow_holder(self) -> None:
        """Several changes of one serial in one go leave behind what as many calls one after another would."""
        now = self._period_on(self.today)
        holder = now.tenant_id if now else None
        if holder != self.holder:
            self.holder = holder
            self.description, self.labels = (now.description, now.labels) if now else ("", {})

    def _period_on(self, day: date) -> Assignment | None:
        return next((period for period in self.periods if self._covers(period, day)), None)

    @staticmethod
    def _covers(period: Assignment, day: date) -> bool:
        return period.from_day <= day and (period.until_day is None or day < period.until_day)
