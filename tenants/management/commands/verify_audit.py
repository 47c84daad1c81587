"""Recompute the audit trail's chains and name what does not hold."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.actors import system
from tenants.audit_check import Head, check_audit
from tenants.context import acting_as
from tenants.sealing import seal_audit


class Command(BaseCommand):
    help = (
        "Recompute the audit trail: names every entry that was changed, removed, inserted or cut off, and what is not sealed yet. "
        "With --heads it also holds the trail against heads that were logged outside the database."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--heads",
            type=Path,
            metavar="FILE",
            help='log lines of the gateway (JSON, one each); those with "event": "audit head" count, all others are passed over',
        )

    def handle(self, *args: Any, **options: Any) -> None:
        told = _read_heads(options["heads"]) if options["heads"] else []
        seal_audit()
        with acting_as(system("verify_audit")):
            verdict = check_audit(told)
        for fault in verdict.faults:
            self.stdout.write(self.style.ERROR(fault))
        self.stdout.write(f"{verdict.entries} entries in {verdict.chains} chains, {len(told)} heads from outside.")
        if verdict.sealed_late:
            self.stdout.write(
                f"{verdict.sealed_late} were sealed more than a day after the moment they name: right after an upgrade or an outage."
            )
        if verdict.tail:
            self.stdout.write(f"{verdict.tail} not sealed yet, from {verdict.oldest_in_tail} on.")
        if verdict.faults:
            raise CommandError(f"{len(verdict.faults)} faults.")
        self.stdout.write(
            "All hold." if told else "All hold. Without --heads a tail that was cut since the last head does not show."
        )


def _read_heads(path: Path) -> list[Head]:
    heads = []
    try:
        for line in path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue  # another program's line in the same log
            if isinstance(entry, dict) and entry.get("event") == "audit head":
                heads.append(Head(str(entry["chain_id"]), int(entry["position"]), str(entry["hash"])))
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}.") from error
    except (KeyError, ValueError) as error:  # not UTF-8 is a ValueError too
        raise CommandError(f"{path} has a head that can't be read; was the log cut or edited?") from error
    if not heads:
        raise CommandError(f"{path} has no line of an audit head; take the gateway's own log.")
    return heads
