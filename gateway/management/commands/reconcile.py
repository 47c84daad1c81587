"""`manage.py reconcile`: settle unknown operations, and refresh the mirror to find what changed behind our back."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from gateway.fortiflex.errors import FortiFlexError
from gateway.management.printing import make_table, open_console, plain
from gateway.mirror import sync_api_user
from gateway.models import ApiUser
from gateway.ownership import ensure_flipped
from gateway.reconciliation import reconcile_operations
from tenants.actors import system
from tenants.context import acting_as

RECONCILE = system("reconcile")


class Command(BaseCommand):
    help = "Look upstream for every operation whose outcome is unknown, and settle it from what is found. Sends nothing twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-sync", action="store_true", help="don't refresh the mirror afterwards")

    def handle(self, *args: Any, **options: Any) -> None:
        console = open_console()
        ensure_flipped()
        report = reconcile_operations(everything=True)
        names = ("operation", "kind", "tenant", "state", "entitlements", "why")
        table = make_table(*names, whole=("operation", "state"))
        for operation in [*report.sent, *report.settled, *report.still_unknown]:
            why = operation.error["code"] if operation.error else ""
            tenant = operation.tenant.slug if operation.tenant else "-"
            serials = ", ".join(operation.serial_numbers[:3])
            table.add_row(str(operation.id), operation.kind, tenant, operation.state, serials, why)
        if table.row_count:
            console.print(table)
        console.print(
            f"{len(report.settled)} settled, {len(report.still_unknown)} still unknown, {len(report.sent)} sent."
        )
        troubles = [] if options["no_sync"] else self._sync(console)
        if report.still_unknown or troubles:
            raise CommandError("Not everything is known yet; run it again later.")

    def _sync(self, console: Console) -> list[str]:
        with acting_as(RECONCILE):
            users = list(ApiUser.objects.filter(enabled=True).order_by("name"))
        troubles: list[str] = []
        for user in users:
            try:
                report = sync_api_user(user)
            except FortiFlexError as error:
                troubles.append(f"{user.name}: {error}")
                continue
            console.print(f"{user.name}: {report.new} new, {report.changed} changed, {report.vanished} vanished")
            troubles += [f"{program}/{account}: {why}" for program, account, why in report.failed]
            if report.stopped:
                troubles.append(f"{user.name}: {report.left} accounts are left for the next pass: {report.stopped}")
        for trouble in troubles:
            console.print(plain(trouble), soft_wrap=True)
        return troubles
