"""`manage.py export_statements --month YYYY-MM --format csv --out DIR`: issued documents as files."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.exports import FORMATS, PLANNED
from billing.models import Statement
from gateway.fortiflex.days import month_bounds
from tenants.actors import system
from tenants.context import acting_as

EXPORT = system("export_statements")


class Command(BaseCommand):
    help = "Write a month's issued statements as files. The same documents give the same bytes; nothing issued, nothing written."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--month", required=True, metavar="YYYY-MM")
        parser.add_argument("--format", required=True, metavar="F", help=f"one of {', '.join(FORMATS)}")
        parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="made if missing")

    def handle(self, *args: Any, **options: Any) -> None:
        write = FORMATS.get(options["format"])
        if write is None:
            later = " (not in this version)" if options["format"] in PLANNED else ""
            raise CommandError(
                f"There is no format {options['format']!r}{later}; this version writes {', '.join(FORMATS)}."
            )
        try:
            first, last = month_bounds(options["month"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        with acting_as(EXPORT):
            rows = (
                Statement.objects.filter(period_from=first, period_to=last)
                .select_related("tenant")
                .prefetch_related("lines")
            )
            statements = list(rows.order_by("number"))
        if not statements:
            raise CommandError(f"Nothing is issued for {options['month']}; run issue_statements first.")
        try:
            written = write(statements, options["out"])
        except OSError as error:
            raise CommandError(f"{options['out']} can't be written: {error}") from error
        self.stdout.write(f"{len(statements)} statements, {len(written)} files in {options['out']}")
