"""`manage.py issue_token NAME (--operator | --tenant SLUG) …`: prints the token, and only that, on stdout."""

import ipaddress
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenants.actors import system
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.problems import Problem
from tenants.tokens import issue_token


class Command(BaseCommand):
    help = "Issue an API token. The token is printed once, alone, on stdout; keep it where you keep passwords."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what the token is for, as lists and audit show it")
        kind = parser.add_mutually_exclusive_group(required=True)
        kind.add_argument("--operator", action="store_true", help="a token of the MSP itself: sees every tenant")
        kind.add_argument("--tenant", metavar="SLUG", help="a token of this tenant alone")
        parser.add_argument(
            "--scope", action="append", metavar="S", help="may be repeated; left out = every scope of its kind"
        )
        parser.add_argument(
            "--expires", metavar="D", help="YYYY-MM-DD or ISO 8601 moment (UTC unless it says otherwise)"
        )
        parser.add_argument(
            "--allow-ip", action="append", default=[], metavar="N", help="network it may be used from; may be repeated"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        actor = system("issue_token")
        try:
            with acting_as(actor):
                tenant = None
                if options["tenant"]:
                    tenant = Tenant.objects.filter(slug=options["tenant"]).first()
                    if tenant is None:
                        raise CommandError(
                            f"There is no tenant {options['tenant']!r}. Create it with POST /api/v1/tenants."
                        )
                issued = issue_token(
                    actor,
                    name=options["name"],
                    tenant=tenant,
                    scopes=options["scope"],
                    expires_at=_parse_moment(options["expires"]),
                    allowed_ips=[_parse_network(network) for network in options["allow_ip"]],
                )
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        self.stdout.write(issued.text)


def _parse_moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"--expires {text!r} is no date; use YYYY-MM-DD.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parse_network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise CommandError(
            f"--allow-ip {text!r} is no network; use one such as 192.0.2.0/24, without host bits."
        ) from error
