"""`manage.py pull_points`: fill the ledger with what is missing or may have changed."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress

from gateway.fortiflex.errors import FortiFlexError
from gateway.ledger.pull import WINDOW_DAYS, pull_points
from gateway.ledger.report import check_conservation, describe_completeness, read_account_days
from gateway.management.printing import open_console, plain
from gateway.models import AccountDay, ApiUser
from tenants.actors import system
from tenants.context import acting_as

LEDGER = system("pull_points")
MEANINGS = {True: "endDate counts", False: "endDate does not count", None: "endDate not calibrated"}


class Command(BaseCommand):
    help = "Read points per day into the ledger: what is missing or may have changed, up to yesterday. Resumable; safe to run twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--api-user", metavar="NAME", help="this one alone")
        parser.add_argument("--from", dest="first", metavar="DAY", help="read every day from here on again")
        parser.add_argument("--to", dest="last", metavar="DAY", help="up to and including this day")
        parser.add_argument(
            "--window-days", type=int, default=WINDOW_DAYS, help="how far back FortiFlex answers (default 90)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        first, last = _parse_day(options["first"]), _parse_day(options["last"])
        if first and last and first > last:
            raise CommandError("--from is after --to.")
        with acting_as(LEDGER):
            users = ApiUser.objects.filter(enabled=True).order_by("name")
            chosen = list(users.filter(name=options["api_user"]) if options["api_user"] else users)
        if not chosen:
            raise CommandError("There is no such API user; add one with manage.py add_api_user.")
        console, failed = open_console(), False
        with Progress(console=Console(stderr=True), transient=True) as progress:
            for user in chosen:
                task = progress.add_task(f"Points of {user.name}", total=None)
                try:
                    report = pull_points(
                        user,
                        first=first,
                        last=last,
                        window_days=options["window_days"],
                        progress=lambda done, total, task=task: progress.update(task, completed=done, total=total),  # type: ignore[misc]
                    )
                except FortiFlexError as error:
                    failed = True
                    console.print(f"{user.name}: stopped: {plain(str(error))} What was read by then is stored.")
                    continue
                states = (
                    ", ".join(f"{number} days {state}" for state, number in sorted(report.states.items()))
                    or "nothing to read"
                )
                console.print(f"{user.name}: {states}; {MEANINGS[report.end_day_counts]}")
                failed = failed or any(state != AccountDay.State.ANSWERED for state in report.states)
        self._check(console)
        if failed:
            raise CommandError("Some days are not answered yet; run it again later.")

    def _check(self, console: Console) -> None:
        with acting_as(LEDGER):
            days = list(AccountDay.objects.order_by("day").values_list("day", flat=True))
            if not days:
                return
            conservation = check_conservation(days[0], days[-1])
            completeness = describe_completeness(read_account_days(days[0], days[-1]))
        console.print(conservation.in_words(), soft_wrap=True)
        console.print(completeness, soft_wrap=True)
        if not conservation.holds:
            raise CommandError("Points do not add up to what FortiFlex said. Nothing can be issued until they do.")


def _parse_day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise CommandError(f"{text!r} is no day; use YYYY-MM-DD.") from error
