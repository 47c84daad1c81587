"""`manage.py serve`: one process tree that is the whole gateway."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from gateway.processes.database import DatabaseNotPrepared, prepare_database
from gateway.processes.tree import PortTaken, Tree, refuse_taken_port


class Command(BaseCommand):
    help = (
        "Run the whole gateway: bring the database up to date, then web, worker and scheduler, until Ctrl-C or SIGTERM."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = options["host"], options["port"]
        try:
            refuse_taken_port(host, port)
            prepare_database()
            connections.close_all()  # the supervisor itself talks to no database
            Tree(host, port).run(when_ready=lambda: self._say_ready(host, port))
        except (PortTaken, DatabaseNotPrepared) as error:
            raise CommandError(str(error)) from error

    def _say_ready(self, host: str, port: int) -> None:
        self.stdout.write(f"flexgate serves http://{host}:{port} (docs at /api/v1/docs); Ctrl-C ends it")
        self.stdout.flush()
