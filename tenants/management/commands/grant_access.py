"""What a staff user or group may do for a tenant."""

from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.access import RIGHTS, grant_right, withdraw_right
from tenants.actors import system
from tenants.context import acting_as
from tenants.models import Tenant


class Command(BaseCommand):
    help = (
        "Let a person or a group do something for a tenant: view (read all but money), provision (make and switch entitlements), bill "
        "(statements, exports, budgets), administer (tokens, webhooks, audit). In force at the next request."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        whom = parser.add_mutually_exclusive_group(required=True)
        whom.add_argument("--user", metavar="NAME")
        whom.add_argument("--group", metavar="NAME", help="made if there is none; members are chosen in the admin")
        parser.add_argument("--tenant", metavar="SLUG", action="append", required=True, help="may be repeated")
        parser.add_argument("--right", choices=RIGHTS, action="append", required=True, help="may be repeated")
        parser.add_argument("--withdraw", action="store_true", help="take the rights back instead")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = system("grant_access")
        change = withdraw_right if options["withdraw"] else grant_right
        with acting_as(actor):
            holder: User | Group | None
            if options["group"] is not None:
                holder = _find_group(options["group"], make=not options["withdraw"])
            else:
                holder = User.objects.filter(username=options["user"]).first()
            if holder is None:
                raise CommandError(f"There is no user {options['user']!r}; make one with add_staff_user.")
            tenants = {row.slug: row for row in Tenant.objects.filter(slug__in=options["tenant"])}
            if missing := sorted(set(options["tenant"]) - set(tenants)):
                raise CommandError(f"There is no tenant {', '.join(missing)}.")
            for tenant in tenants.values():
                for right in options["right"]:
                    change(actor, holder, tenant, right)
        done = "Withdrawn from" if options["withdraw"] else "Granted to"
        self.stdout.write(f"{done} {holder}: {', '.join(options['right'])} on {', '.join(sorted(tenants))}.")


def _find_group(name: str, *, make: bool) -> Group:
    if not 1 <= len(name) <= 150:
        raise CommandError("A group's name has 1 to 150 characters.")
    group = Group.objects.filter(name=name).first()
    if group is None and not make:
        raise CommandError(f"There is no group {name!r}.")
    return group or Group.objects.create(name=name)
