"""`manage.py issue_statements --month YYYY-MM`: rate and issue, or with --draft show what would be issued."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from billing.statements import RunReport, draft_statement, issue_statements
from gateway.fortiflex.days import month_bounds
from gateway.ledger.report import check_conservation, describe_completeness, read_account_days
from tenants.actors import system
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.problems import Problem

BILLING = system("issue_statements")


class Command(BaseCommand):
    help = "Issue a month's statements. Whatever can't be issued is named with its reason. A second run issues nothing twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--month", required=True, metavar="YYYY-MM")
        parser.add_argument("--tenant", metavar="SLUG", help="this tenant alone")
        parser.add_argument(
            "--draft", action="store_true", help="show drafts, for any month at any time; issues nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with acting_as(BILLING):
            tenants = list(Tenant.objects.filter(internal=False).order_by("slug"))
        if options["tenant"]:
            tenants = [tenant for tenant in tenants if tenant.slug == options["tenant"]]
            if not tenants:
                raise CommandError(f"There is no tenant {options['tenant']!r} that is invoiced.")
        console = Console()
        try:
            if options["draft"]:
                self._draft(console, tenants, options["month"])
            else:
                self._issue(console, tenants, options["month"])
        except Problem as problem:
            raise CommandError(problem.detail) from problem

    def _issue(self, console: Console, tenants: list[Tenant], month: str) -> None:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(f"Issuing {month}", total=len(tenants))
            report = issue_statements(
                BILLING,
                month=month,
                slugs=[tenant.slug for tenant in tenants],
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
        print_report(console, report)
        if not report.went_well:
            raise CommandError("Not every tenant was issued; the reasons are above.")

    def _draft(self, console: Console, tenants: list[Tenant], month: str) -> None:
        try:
            first, last = month_bounds(month)
        except ValueError as error:
            raise CommandError(str(error)) from error
        table = Table("tenant", "lines", "net", "total", "still open")
        for tenant in tenants:
            draft = draft_statement(BILLING, tenant, month)
            money = (f"{draft['net']} {tenant.currency}", f"{draft['total']} {tenant.currency}")
            table.add_row(tenant.slug, str(len(draft["lines"])), *money, "; ".join(draft["warnings"]))
        console.print(table)
        with acting_as(BILLING):
            console.print(check_conservation(first, last).in_words(), soft_wrap=True)
            console.print(describe_completeness(read_account_days(first, last)), soft_wrap=True)


def print_report(console: Console, report: RunReport) -> None:
    """Who was issued what, and why others were not; then the two lines that prove it."""
    table = Table("tenant", "statement", "remark")
    for slug, number in report.issued.items():
        table.add_row(slug, number, "issued")
    for slug, number in report.already.items():
        table.add_row(slug, number, "issued before")
    for slug in report.empty:
        table.add_row(slug, "", "nothing to bill")
    for slug, reason in report.refused.items():
        table.add_row(slug, "", f"not issued: {reason}")
    console.print(table)
    console.print(report.conservation.in_words(), soft_wrap=True)
    console.print(report.completeness, soft_wrap=True)
    if report.conservation.unassigned:
        console.print(
            f"{report.conservation.unassigned:.4f} points belong to nobody; assign their serials.", soft_wrap=True
        )
