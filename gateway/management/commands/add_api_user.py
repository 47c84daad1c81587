"""`manage.py add_api_user NAME --username U …`: the password is read from stdin, so that it stands in no shell history."""

import getpass
import sys
from argparse import ArgumentParser, BooleanOptionalAction
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gateway.credentials import DEFAULT_API_URL, DEFAULT_AUTH_URL, ApiUserFields, save_api_user
from tenants.actors import system
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.problems import Problem


class Command(BaseCommand):
    help = "Enter or update a FortiCloud API user. Reads its password from stdin and proves it by a login; refuses what FortiFlex refuses."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="your own name for it")
        parser.add_argument("--username", required=True, help="the API user's id from FortiCloud IAM")
        parser.add_argument("--api-url", help=f"the v2 base (default {DEFAULT_API_URL})")
        parser.add_argument("--auth-url", help=f"the whole token URL (default {DEFAULT_AUTH_URL})")
        parser.add_argument("--tenant", metavar="SLUG", help="it serves this tenant alone")
        parser.add_argument("--per-minute", type=int, metavar="N", help="calls a minute (default 90)")
        parser.add_argument("--per-hour", type=int, metavar="N", help="calls an hour (default 900)")
        parser.add_argument(
            "--errors-per-hour", type=int, metavar="N", help="errors an hour before we stop ourselves (default 9)"
        )
        parser.add_argument(
            "--tags-follow",
            action=BooleanOptionalAction,
            help="bring descriptions at FortiFlex in line with their owners in the background (default: no)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        actor = system("add_api_user")
        for name in ("per_minute", "per_hour", "errors_per_hour"):
            if options[name] is not None and options[name] < 1:
                raise CommandError(f"--{name.replace('_', '-')} must be at least 1.")
        password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise CommandError("No password came in on stdin; pipe it in or type it.")
        tenant = None
        if options["tenant"]:
            with acting_as(actor):
                tenant = Tenant.objects.filter(slug=options["tenant"]).first()
            if tenant is None:
                raise CommandError(f"There is no tenant {options['tenant']!r}.")
        fields = ApiUserFields(
            username=options["username"],
            password=password,
            api_url=options["api_url"],
            auth_url=options["auth_url"],
            tenant=tenant,
            per_minute=options["per_minute"],
            per_hour=options["per_hour"],
            errors_per_hour=options["errors_per_hour"],
            tags_follow=options["tags_follow"],
        )
        try:
            row, created = save_api_user(actor, name=options["name"], fields=fields)
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        self.stdout.write(
            f"API user {row.name} {'added' if created else 'updated'}; FortiFlex lets it in. Next: manage.py sync"
        )
