"""What FortiFlex refused: remembered, asked last, and at most once an hour, then less often. Each refusal costs one error of a few an hour."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.fortiflex.errors import FortiFlexError, OutcomeUnknown
from gateway.models import ApiUser, Refusal
from tenants import clock
from tenants.actors import system
from tenants.context import acting_as

REFUSALS = system("sync")
FIRST_WAIT, LONGEST_WAIT = timedelta(hours=1), timedelta(hours=24)


@dataclass(frozen=True, slots=True, order=True)
class Question:
    """A call about a program and account ("" and 0 = about none in particular)."""

    call: str
    program_serial: str = ""
    account_id: int = 0


@dataclass(slots=True)
class Refusals:
    """Those of one API user, as they stand during its pass."""

    api_user: ApiUser
    rows: dict[Question, Refusal] = field(default_factory=dict)

    @classmethod
    def of(cls, api_user: ApiUser) -> "Refusals":
        with acting_as(REFUSALS):
            rows = list(Refusal.objects.filter(api_user=api_user))
        return cls(api_user, {Question(row.call, row.program_serial, row.account_id): row for row in rows})

    def held_back(self, question: Question, *, now: datetime) -> Refusal | None:
        """Why this must not be asked yet, or None."""
        row = self.rows.get(question)
        return row if row is not None and row.ask_again_at > now else None

    def remember(self, question: Question, error: FortiFlexError) -> None:
        """Count one more refusal in a row and put the next question off: 1, 2, 4 … 24 hours.

        An answer that was lost once may come the next time, so it is asked for again at once; lost twice, it waits like a refusal.
        """
        now, row = clock.now(), self.rows.get(question)
        times = 1 if row is None else row.times + 1
        counted = times - 1 if isinstance(error, OutcomeUnknown) else times
        wait = min(FIRST_WAIT * 2 ** min(counted - 1, 10), LONGEST_WAIT) if counted else timedelta()
        with acting_as(REFUSALS):
            self.rows[question], _ = Refusal.objects.update_or_create(
                api_user=self.api_user,
                call=question.call,
                program_serial=question.program_serial,
                account_id=question.account_id,
                defaults={
                    "reason": str(error)[:300],
                    "times": times,
                    "refused_at": now,
                    "ask_again_at": now + wait,
                },
            )

    def forget(self, question: Question) -> None:
        """It was answered."""
        row = self.rows.pop(question, None)
        if row is not None:
            with acting_as(REFUSALS):
                Refusal.objects.filter(pk=row.pk).delete()
