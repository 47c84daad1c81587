#!/usr/bin/env python
"""The one entry to every command of the gateway; `python manage.py help` lists them."""

import os
import sys
from contextlib import ExitStack

# These look at code or settings alone, or bring their own servers.
WITHOUT_SERVERS = {
    "help",
    "version",
    "--help",
    "-h",
    "--version",
    "check",
    "makemigrations",
    "collectstatic",
    "findstatic",
    "spectacular",
    "sandbox",
    "demo",
}
PRACTICE = {"sandbox", "demo"}  # nothing real is behind them: they need no secrets of anybody
PREPARES_ITSELF = {"serve", "prepare_database", "migrate", "test"}


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    if command in PRACTICE:
        os.environ.setdefault("FLEXGATE_DEBUG", "1")
    with ExitStack() as stack:
        try:
            settings.INSTALLED_APPS  # noqa: B018 - read the settings now, so that a wrong one is a sentence and no traceback
            if command not in WITHOUT_SERVERS and not {"--help", "-h"} & set(sys.argv[2:]):
                hold_what_is_embedded(stack, prepare=command not in PREPARES_ITSELF)
        except (ImproperlyConfigured, RuntimeError) as error:
            print(f"{command}: {error}", file=sys.stderr)  # noqa: T201 - before any command's own output exists
            return 1
        execute_from_command_line(sys.argv)
    return 0


def hold_what_is_embedded(stack: ExitStack, *, prepare: bool) -> None:
    """Where the environment names no servers, run ours for as long as this command runs, with a database that is up to date."""
    import django
    from django.conf import settings

    from gateway.processes.hold import hold_servers

    stack.enter_context(
        hold_servers(settings.FLEXGATE_DATA, database=settings.EMBEDDED_POSTGRES, broker=settings.EMBEDDED_BROKER)
    )
    if prepare and settings.EMBEDDED_POSTGRES:
        from gateway.processes.database import prepare_database

        django.setup()
        prepare_database()


if __name__ == "__main__":
    sys.exit(main())
