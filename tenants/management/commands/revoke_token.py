"""End tokens from the command line: one, or all of a tenant."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.actors import system
from tenants.context import acting_as
from tenants.directory import find_tenant
from tenants.models import Token
from tenants.problems import Problem
from tenants.tokens import revoke_all_tokens, revoke_token


class Command(BaseCommand):
    help = "Revoke a token by its id (it stands in the token's own text), or all tokens of a tenant. In force at the next request."

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--id", metavar="ID", help="the token's id, with or without hyphens")
        what.add_argument("--tenant", metavar="SLUG", help="every token of this tenant")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = system("revoke_token")
        try:
            if options["tenant"] is not None:
                with acting_as(actor):
                    tenant = find_tenant(actor, options["tenant"])
                self.stdout.write(f"{revoke_all_tokens(actor, tenant=tenant)[0]} revoked.")
                return
            token_id = UUID(options["id"])
            with acting_as(actor):
                found = Token.objects.select_related("tenant").filter(id=token_id).first()
            slug = found.tenant.slug if found is not None and found.tenant is not None else None
            revoke_token(actor, tenant_slug=slug, token_id=token_id)
        except ValueError as error:
            raise CommandError(f"{options['id']!r} is no token id.") from error
        except Problem as problem:
            raise CommandError("There is no such token or tenant.") from problem
        self.stdout.write("Revoked, with all that it made.")
