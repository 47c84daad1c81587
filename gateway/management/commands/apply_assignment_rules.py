"""`manage.py apply_assignment_rules`: assign by rule what nobody owned yet; with --dry-run, show what would go where."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.table import Table

from gateway.assignment_rules import Foreseen, apply_rules, foresee_rules
from gateway.management.printing import make_table, open_console, plain
from gateway.ownership import ensure_flipped
from tenants.actors import system
from tenants.problems import Problem

RULES = system("apply_assignment_rules")


class Command(BaseCommand):
    help = """Assign entitlements that never had an owner, by the rules entered under /api/v1/assignment-rules.

Whoever owns something already, or owned it once, keeps it: rules never move anything. Look first with --dry-run; it prints a digest,
and --expect DIGEST assigns only if exactly that would still come of it. All or nothing, and safe to run twice.

Exit codes: 0 done (or shown), 1 refused, with the reason on stderr and nothing assigned."""

    def create_parser(self, *args: Any, **options: Any) -> Any:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **options)

    def add_arguments(self, parser: ArgumentParser) -> None:
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--dry-run", action="store_true", help="show every entitlement and where it would go; assign nothing"
        )
        how.add_argument("--expect", metavar="DIGEST", help="assign only if the dry run with this digest still holds")

    def handle(self, *args: Any, **options: Any) -> None:
        ensure_flipped()
        console = open_console()
        if options["dry_run"]:
            foreseen = foresee_rules(RULES)
            console.print(_table_of(foreseen))
        else:
            try:
                foreseen = apply_rules(RULES, expected=options["expect"])
            except Problem as problem:
                raise CommandError(problem.detail) from problem
        console.print(_summary_of(foreseen, dry_run=options["dry_run"]))
        if options["dry_run"]:
            console.print(f"digest {foreseen.digest}", soft_wrap=True)


def _table_of(foreseen: Foreseen) -> Table:
    names = ("serial", "account", "config", "description", "tenant", "from", "because", "rule", "other rules")
    table = make_table(*names, whole=("serial", "tenant", "from"))
    for row in foreseen.rows:
        shown, others = row.candidate, row.matching[1:] if row.rule else row.matching
        table.add_row(
            shown.serial_number,
            str(shown.account_id),
            plain(shown.config_name),
            plain(shown.description),
            row.tenant.slug if row.tenant else "-",
            str(row.from_day or "-"),
            row.basis or row.left_because,
            plain(row.rule.name) if row.rule else "-",
            ", ".join(f"{plain(rule.name)} ({rule.tenant.slug})" for rule in others),
        )
    return table


def _summary_of(foreseen: Foreseen, *, dry_run: bool) -> Table:
    table = make_table("tenant", "would get" if dry_run else "got")
    for slug, number in foreseen.count_by_tenant().items():
        table.add_row(slug, str(number))
    for reason, number in foreseen.count_left().items():
        table.add_row(f"nobody: {reason}", str(number))
    return table
