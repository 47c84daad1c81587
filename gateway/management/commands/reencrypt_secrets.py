"""Encrypt Fortinet's credentials anew with the newest key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gateway.credentials import reencrypt_secrets
from tenants.actors import system


class Command(BaseCommand):
    help = (
        "Encrypt passwords and access tokens of API users with the first of FLEXGATE_CREDENTIAL_KEYS. To retire a key: put a new one "
        "first, restart, run this, then drop the old one. Safe to repeat, and beside a running gateway."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        counts = reencrypt_secrets(system("reencrypt_secrets"))
        self.stdout.write(f"{counts['renewed']} renewed, {counts['current']} had the newest key already.")
        if counts["unreadable"]:
            raise CommandError(
                f"{counts['unreadable']} can't be read with any configured key: put the key back, or enter the passwords again."
            )
