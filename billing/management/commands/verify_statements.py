"""`manage.py verify_statements`: recompute every hash, chain and sum; name what does not hold."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.models import Statement
from billing.verify import find_faults
from tenants.actors import system
from tenants.context import acting_as

VERIFY = system("verify_statements")


class Command(BaseCommand):
    help = "Recompute every hash, chain and sum of issued statements from what is stored. Changes nothing; exits 1 if something does not hold."

    def handle(self, *args: Any, **options: Any) -> None:
        with acting_as(VERIFY):
            number, faults = Statement.objects.count(), list(find_faults())
        for fault in faults:
            self.stdout.write(fault)
        if faults:
            raise CommandError(f"{len(faults)} things do not hold in {number} statements.")
        self.stdout.write(f"{number} statements: every hash, chain and sum holds.")
