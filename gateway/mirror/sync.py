"""One pass over everything an API user can see. All answers of an account are fetched first, then applied in one transaction, or not at all."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from gateway.catalogue import refresh_catalogue
from gateway.fortiflex import records
from gateway.fortiflex.client import FortiFlexClient
from gateway.fortiflex.errors import FortiFlexError, LoginRefused, NotSent
from gateway.mirror.apply import Changes, apply_configs, apply_entitlements, apply_programs
from gateway.models import ApiUser, Config, ProductCatalogue, Program, ProgramAccount
from gateway.operations import note_tags, touched_since
from gateway.ownership import ensure_flipped
from gateway.upstream import client_for
from tenants import clock
from tenants.actors import system
from tenants.context import acting_as

SYNC = system("sync")
log = structlog.get_logger("flexgate.sync")
CATALOGUE_LIFE = timedelta(hours=24)
Progress = Callable[[str], None]


@dataclass(slots=True)
class SyncReport:
    """What a pass did. `failed`: (program, account) and why; its mirror stands as it was."""

    api_user: str
    accounts: int = 0
    new: int = 0
    changed: int = 0
    vanished: int = 0
    configs: int = 0
    failed: list[tuple[str, int, str]] = field(default_factory=list)

    def add(self, changes: Changes) -> None:
        self.new += len(changes.new)
        self.changed += len(changes.changed)
        self.vanished += len(changes.vanished)


def sync_api_user(
    api_user: ApiUser, *, client: FortiFlexClient | None = None, progress: Progress = lambda _: None
) -> SyncReport:
    """Mirror programs, configs and entitlements of every account that is read through `api_user`.

    Raises FortiFlexError only where nothing at all could be read (no lane, login refused); one account's failure is in the report.
    """
    ensure_flipped()
    client, report = client or client_for(api_user, interactive=False), SyncReport(api_user.name)
    _refresh_catalogue(api_user)
    listed = client.list_programs().value
    with acting_as(SYNC):
        apply_programs(listed)
        by_hand = Program.objects.filter(accounts__api_user=api_user).values_list("serial_number", flat=True)
        serials = sorted({program.serial_number for program in listed} | set(by_hand))
    for serial in serials:
        progress(serial)
        _sync_program(api_user, client, serial, report)
    return report


def _sync_program(api_user: ApiUser, client: FortiFlexClient, serial: str, report: SyncReport) -> None:
    asked_at = clock.now()
    try:
        configs = client.list_configs(serial).value
    except (NotSent, LoginRefused):
        raise
    except FortiFlexError as error:
        report.failed.append((serial, 0, str(error)))
        log.warning("configs not read", api_user=api_user.name, program=serial, reason=str(error))
        return
    balance = _read_balance(client, serial)
    with acting_as(SYNC):
        program = Program.objects.get(pk=serial)
        if balance is not None and balance.point_balance != program.point_balance:
            program.point_balance = balance.point_balance
            program.save(update_fields=["point_balance"])
        # The root account is named by the program itself, member accounts only by their configs. An API user that serves one tenant
        # alone is most often a member's: it sees the root's program and can't read the root's account.
        accounts = {config.account_id for config in configs}
        if api_user.tenant_id is None or not accounts:
            accounts.add(program.account_id)
        for account_id in accounts:
            ProgramAccount.objects.get_or_create(
                program=program, account_id=account_id, defaults={"api_user": api_user}
            )
        rows = list(ProgramAccount.objects.filter(program=program, api_user=api_user).order_by("account_id"))
        mine = {row.account_id for row in rows}
        _, touched = touched_since(asked_at)
        untouched = [config for config in configs if config.account_id in mine and config.id not in touched]
        report.configs += len(apply_configs(untouched).changed)
        _mark_vanished_configs(serial, mine, {config.id for config in configs} | touched, asked_at)
    for row in rows:
        _sync_account(client, row, report)


def _sync_account(client: FortiFlexClient, row: ProgramAccount, report: SyncReport) -> None:
    asked_at = clock.now()
    try:
        found = client.list_entitlements(account_id=row.account_id, program_serial=row.program_id).value
        with acting_as(SYNC):
            changes = apply_entitlements(
                found, program_serial=row.program_id, account_id=row.account_id, asked_at=asked_at, ours=False
            )
            note_tags(changes.tags)
            ProgramAccount.objects.filter(pk=row.pk).update(mirrored_at=clock.now())
    except (NotSent, LoginRefused):
        raise
    except (FortiFlexError, LookupError) as error:
        report.failed.append((row.program_id, row.account_id, str(error)))
        log.warning("account not mirrored", program=row.program_id, account=row.account_id, reason=str(error))
        return
    report.accounts += 1
    report.add(changes)


def _read_balance(client: FortiFlexClient, serial: str) -> records.ProgramBalance | None:
    """Only prepaid programs have one; the prefix is a hint (reference 3.1), and a refusal costs an error, so postpaid ones are not asked."""
    if not serial.startswith("ELAVMR"):
        return None
    try:
        return client.get_balance(serial).value
    except (NotSent, LoginRefused):
        raise
    except FortiFlexError as error:  # the balance alone is not known: the pass goes on
        log.warning("balance not read", program=serial, reason=str(error))
        return None


def _refresh_catalogue(api_user: ApiUser) -> None:
    """Once a day is enough for what Fortinet sells; a pass does not fail for it."""
    with acting_as(SYNC):
        fresh = ProductCatalogue.objects.filter(api_url=api_user.api_url, fetched_at__gt=clock.now() - CATALOGUE_LIFE)
        if fresh.exists():
            return
    try:
        refresh_catalogue(api_user)
    except (NotSent, LoginRefused):
        raise
    except FortiFlexError as error:
        log.warning("catalogue not read", api_user=api_user.name, reason=str(error))


def _mark_vanished_configs(serial: str, accounts: set[int], found: set[int], asked_at: datetime) -> None:
    rows = Config.objects.filter(program_id=serial, account_id__in=accounts, vanished_at__isnull=True)
    rows.filter(first_seen_at__lt=asked_at).exclude(id__in=found).update(vanished_at=clock.now())
