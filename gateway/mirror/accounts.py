"""What one account shows, stored in one step: its configs and its entitlements, or neither. Call inside `acting_as(system(…))`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.fortiflex import records
from gateway.mirror.changes import Changes
from gateway.mirror.configs import apply_configs, mark_vanished_configs
from gateway.mirror.entitlements import apply_entitlements
from gateway.mirror.vanishing import confirm_vanished
from gateway.models import ApiUser, Program, ProgramAccount
from gateway.operations import note_tags, touched_since


@dataclass(frozen=True, slots=True)
class ListedConfigs:
    """All configs of a program that an API user sees, as of `asked_at`."""

    asked_at: datetime
    configs: Sequence[records.Config]


def find_accounts(api_user: ApiUser, program: Program, configs: Sequence[records.Config]) -> list[ProgramAccount]:
    """The accounts of `program` that are read through `api_user`; those seen for the first time are its from now on.

    The root account is named by the program itself, member accounts only by their configs. An API user that serves one tenant alone is
    most often a member's: it sees the root's program and can't read the root's account.
    """
    seen = {config.account_id for config in configs}
    if api_user.tenant_id is None or not seen:
        seen.add(program.account_id)
    known = set(ProgramAccount.objects.filter(program=program).values_list("account_id", flat=True))
    ProgramAccount.objects.bulk_create(
        [
            ProgramAccount(program=program, account_id=account_id, api_user=api_user)
            for account_id in sorted(seen - known)
        ],
        ignore_conflicts=True,
    )
    mine = ProgramAccount.objects.filter(program=program, api_user=api_user)
    mine.filter(account_id__in=seen, entered_by_hand=True).update(entered_by_hand=False)
    return list(mine)


def store_account(
    row: ProgramAccount,
    *,
    listed: ListedConfigs,
    entitlements: Sequence[records.Entitlement],
    asked_at: datetime,
) -> Changes | None:
    """Configs and entitlements of one account; None if it was moved to another API user meanwhile. LookupError for an unknown config.

    The tags that are left in what is handed back are still to be noted, once this is committed.
    """
    # no_key: plans hold the same row while they have entitlements locked (operations.readers), and wait for none of ours.
    still = ProgramAccount.objects.select_for_update(no_key=True).filter(pk=row.pk, api_user_id=row.api_user_id).first()
    if still is None:
        return None
    named = {item.config_id for item in entitlements}
    _, touched = touched_since(listed.asked_at)
    own = [config for config in listed.configs if config.account_id == row.account_id or config.id in named]
    configs = apply_configs(config for config in own if config.id not in touched)
    _mark_vanished(row, listed, touched)
    changes = apply_entitlements(
        entitlements, program_serial=row.program_id, account_id=row.account_id, asked_at=asked_at, ours=False
    )
    changes.configs = len(configs.changed)
    changes.tags = note_tags(changes.tags, wait=False)
    still.mirrored_at = asked_at
    still.save(update_fields=["mirrored_at"])
    changes.vanished = confirm_vanished()
    return changes


def _mark_vanished(row: ProgramAccount, listed: ListedConfigs, touched: Collection[int]) -> None:
    found = {config.id for config in listed.configs}.union(touched)
    mark_vanished_configs(row.program_id, row.account_id, found=found, asked_at=listed.asked_at)
