"""`manage.py prepare_database`: migrations as the owner, then grants and row-level security."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gateway.processes.database import DatabaseNotPrepared, prepare_database


class Command(BaseCommand):
    help = "Bring the database up to date: migrate as the owner, then apply grants and row-level security. Safe to run twice."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            changed = prepare_database(verbosity=options["verbosity"])
        except DatabaseNotPrepared as error:
            raise CommandError(str(error)) from error
        self.stdout.write("The database is up to date." if changed else "The database was up to date already.")
