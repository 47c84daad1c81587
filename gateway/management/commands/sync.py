"""`manage.py sync`: refresh the mirror; with --rebuild, propose an owner for every tagged entitlement."""

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress

from gateway.adoption import confirm_proposals, read_proposals
from gateway.fortiflex.errors import FortiFlexError
from gateway.management.printing import make_table, open_console, plain
from gateway.mirror import SyncReport, sync_api_user
from gateway.models import ApiUser
from tenants.actors import system
from tenants.context import acting_as

SYNC = system("sync")


class Command(BaseCommand):
    help = (
        "Refresh the mirror of programs, configs and entitlements, the account that was read longest ago first. Writes nothing where "
        "nothing changed; safe to run twice. Each API user makes one pass at a time: where another is under way (a running serve makes "
        "one every 15 minutes), this says so and exits non-zero instead of taking its calls."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--api-user", metavar="NAME", help="this one alone")
        parser.add_argument(
            "--ask-refused",
            action="store_true",
            help="ask again what FortiFlex refused lately, too; each refusal costs one of its few errors an hour",
        )
        parser.add_argument(
            "--rebuild", action="store_true", help="list the owners that tags propose where the database knows none"
        )
        parser.add_argument(
            "--confirm", action="store_true", help="with --rebuild: assign what the tags propose, from each start day"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["confirm"] and not options["rebuild"]:
            raise CommandError("--confirm goes with --rebuild.")
        console, failed = open_console(), False
        with acting_as(SYNC):
            users = ApiUser.objects.filter(enabled=True).order_by("name")
            chosen = list(users.filter(name=options["api_user"]) if options["api_user"] else users)
        if not chosen:
            raise CommandError("There is no such API user; add one with manage.py add_api_user.")
        names = ("API user", "accounts", "new", "changed", "vanished", "configs changed", "not read")
        table = make_table(*names, whole=("API user",))
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("Mirroring", total=len(chosen))
            for user in chosen:

                def show(place: str, name: str = user.name) -> None:
                    progress.update(task, description=f"{name}: {place}")

                try:
                    report = sync_api_user(user, progress=show, ask_refused=options["ask_refused"])
                except FortiFlexError as error:
                    failed = True
                    table.add_row(user.name, "", "", "", "", "", plain(str(error)))
                    continue
                finally:
                    progress.advance(task)
                failed = failed or not report.complete
                numbers = (report.accounts, report.new, report.changed, report.vanished, report.configs)
                table.add_row(user.name, *map(str, numbers), plain("; ".join(_troubles(report))))
        console.print(table)
        if options["rebuild"]:
            self._rebuild(console, confirm=options["confirm"])
        if failed:
            raise CommandError("Not everything could be read; what is above stands, the rest is as it was.")

    def _rebuild(self, console: Console, *, confirm: bool) -> None:
        table = make_table("serial", "tag names", "from", "tenant exists", whole=("serial", "tag names", "from"))
        for proposal in read_proposals(SYNC):
            table.add_row(
                proposal.serial_number,
                proposal.slug,
                str(proposal.from_day),
                "yes" if proposal.tenant_exists else "no, create it first",
            )
        console.print(table)
        if confirm:
            console.print(f"{confirm_proposals(SYNC)} entitlements assigned.")


def _troubles(report: SyncReport) -> Iterator[str]:
    for program, account, why in report.failed:
        yield f"{program}/{account}: {why}"
    for question in report.held_back:
        place = f"{question.program_serial}/{question.account_id}" if question.program_serial else question.call
        yield f"{place}: refused {question.times} times, asked again at {question.ask_again_at:%H:%M} UTC: {question.reason}"
    if report.stopped:
        yield f"{report.left} accounts are left for the next pass: {report.stopped}"
