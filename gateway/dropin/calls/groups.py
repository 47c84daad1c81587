"""groups/*: asset folders, counted over the tenant's own entitlements. FortiFlex tells the folder at creation alone, and never again."""

from collections import defaultdict
from typing import Any

from django.db.models import Count, Q, QuerySet

from gateway.dropin.envelope import refuse
from gateway.dropin.places import NO_ACCOUNT, Asked, find_config, known_places
from gateway.dropin.shapes import read_entitlements
from gateway.models import Entitlement
from gateway.ownership.renewal import UNUSED
from gateway.provisioning.licence import READY, TOP_FOLDER, stored_folders

USED = "USED"


def list_groups(asked: Asked) -> dict[str, Any]:
    """Under two names: the reference's, and the one that pyfortiflex reads."""
    rows = _own(asked).order_by().values_list("folder_path", "account_id")
    counted = rows.annotate(
        unused=Count("pk", filter=Q(token_status=UNUSED)), used=Count("pk", filter=Q(token_status=USED))
    )
    totals: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for folder, account, unused, used in counted:
        total = totals[folder or TOP_FOLDER, account]
        total[0] += unused
        total[1] += used
    groups = [
        {"folderPath": folder, "accountId": account, "availableTokens": unused, "usedTokens": used}
        for (folder, account), (unused, used) in sorted(totals.items())
    ]
    return {"groups": groups, "fortiCareAssetGroups": groups}


def find_next_token(asked: Asked) -> dict[str, Any]:
    """The first entitlement with an unused licence token; it is not reserved. A list of one: pyfortiflex takes nothing else."""
    folder, config_id = asked.body.text("folderPath"), asked.body.whole("configId")
    if not folder and config_id is None:
        raise refuse("folderPath or configId is required.")
    rows = _own(asked).filter(token_status=UNUSED, status__in=asked.body.texts("status") or READY).exclude(token="")
    if config_id is not None:
        rows = rows.filter(config_id=find_config(asked.actor, config_id).id)
    if folder:
        rows = rows.filter(folder_path__in=stored_folders(folder))
    first = rows.order_by("serial_number").values_list("serial_number", flat=True).first()
    if first is None:
        raise refuse("No available token.")
    return {"entitlements": read_entitlements(asked.actor, [first])}


def _own(asked: Asked) -> "QuerySet[Entitlement]":
    rows = Entitlement.objects.visible_to(asked.actor).filter(vanished_at__isnull=True)
    account = asked.body.whole("accountId")
    if account is None:
        return rows
    if account not in {known for _, known in known_places(asked)}:
        raise refuse(NO_ACCOUNT)
    return rows.filter(account_id=account)
