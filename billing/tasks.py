"""Month-end on the clock: issues the month that has just become ready. A second run issues nothing twice."""

from datetime import timedelta

import structlog
from celery import shared_task

from billing.models import StatementRun
from billing.readiness import issue_opens
from billing.statements import issue_statements
from gateway.days import today
from gateway.fortiflex.days import month_of
from tenants import clock
from tenants.actors import system
from tenants.context import acting_as
from tenants.leases import lease_for

log = structlog.get_logger("flexgate.billing")
MONTH_END = system("month-end")


@shared_task
def issue_month() -> None:
    """Daily: issue last month once its grace is over. Tenants that could not be issued are tried again the next day."""
    last = today().replace(day=1) - timedelta(days=1)
    if clock.now() < issue_opens(last):
        return
    with lease_for("month-end", seconds=3600) as held:
        if held is not None and not _is_done(month_of(last)):
            report = issue_statements(MONTH_END, month=month_of(last))
            log.info("month issued", month=report.month, issued=len(report.issued), refused=report.refused)


def _is_done(month: str) -> bool:
    """The newest run for everybody left nobody out and the points added up: there is nothing more to try."""
    with acting_as(MONTH_END):
        run = StatementRun.objects.filter(month=month, manifest__everybody=True).order_by("-created_at").first()
    return run is not None and run.manifest.get("refused") == {} and bool(run.conservation.get("holds"))
