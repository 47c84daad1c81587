"""What nobody foresaw about one operation: it is put off, and the others go on."""

from datetime import timedelta
from uuid import UUID

from gateway.models import Operation
from gateway.operations.settling import JOURNAL, add_evidence
from tenants import clock
from tenants.context import acting_as

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)


def put_off(operation_id: UUID, error: Exception) -> Operation:
    """The next look or sending is after 1, 2, 4 … 60 minutes: what went wrong most likely does so again, and a person can mend it meanwhile.

    Call outside of the transaction that failed. The error's text may hold anything: its kind alone goes into the evidence, the log has
    the rest.
    """
    with acting_as(JOURNAL):
        rows = Operation.objects.select_for_update(of=("self",)).select_related("tenant", "api_user")
        row = rows.get(id=operation_id)
        if row.settled_at is not None:
            return row
        last = row.evidence[-1] if row.evidence else {}
        times = int(last.get("stumbled", 0)) + 1
        if times > 1:  # one entry for all in a row: a lasting fault must not fill the journal
            row.evidence = row.evidence[:-1]
        add_evidence(row, {"stumbled": times, "over": type(error).__name__})
        now = clock.now()
        wait = min(FIRST_WAIT * 2 ** min(times - 1, 10), LONGEST_WAIT)
        row.next_check_at = max(row.next_check_at or now, now + wait)
        row.save(update_fields=["next_check_at", "evidence"])
        return row
