"""A person who signs in to the admin."""

import getpass
import sys
from typing import Any

import qrcode
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_otp.plugins.otp_totp.models import TOTPDevice

from tenants.actors import Actor, system
from tenants.audit import record_audit
from tenants.context import acting_as


class Command(BaseCommand):
    help = (
        "Add a person who signs in at /admin/, or change their password: it is read from stdin. A superuser is the operator; everybody "
        "else sees the tenants that `grant_access` gives them. --second-factor prints the code that an authenticator app reads."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--superuser", action="store_true", help="may do what an operator's token may")
        parser.add_argument("--second-factor", action="store_true", help="set up a new second factor; an old one ends")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = system("add_staff_user")
        password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        if not password.isprintable():
            raise CommandError("A password holds no control characters, and is UTF-8.")
        with acting_as(actor):
            user = User.objects.filter(username=options["name"]).first() or User(username=options["name"])
            created = user.pk is None
            try:
                validate_password(password, user)
                user.is_staff, user.is_superuser = True, options["superuser"] or user.is_superuser
                user.set_password(password)
                user.clean_fields()
            except ValidationError as error:
                raise CommandError(" ".join(error.messages)) from error
            user.save()
            device = _replace_factor(user) if options["second_factor"] else None
            _record(actor, user, created=created, factor=device is not None)
        self.stdout.write(f"{'Added' if created else 'Changed'} {user.username}.")
        if device is not None:
            self.stdout.write(f"Read this once with an authenticator app:\n{device.config_url}")
            code = qrcode.QRCode(border=1)
            code.add_data(device.config_url)
            code.print_ascii(out=self.stdout._out, invert=True)


def _replace_factor(user: User) -> TOTPDevice:
    TOTPDevice.objects.filter(user=user).delete()
    return TOTPDevice.objects.create(user=user, name="authenticator")


def _record(actor: Actor, user: User, *, created: bool, factor: bool) -> None:
    record_audit(
        actor,
        "user.added" if created else "user.changed",
        subject_type="user",
        subject_key=user.username[:100],
        tenant_id=None,
        after={"superuser": user.is_superuser, "second_factor": "new" if factor else "as before"},
    )
