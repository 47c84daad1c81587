"""groups/*: asset folders that hold FortiFlex products."""

from collections import Counter
from typing import Any

from gateway.sandbox import checks
from gateway.sandbox.calls.call import Call
from gateway.sandbox.refusals import Refusal
from gateway.sandbox.show import show_entitlement, status_of
from gateway.sandbox.world import Entitlement


def list_groups(call: Call) -> dict[str, Any]:
    account_id = checks.whole(call.body, "accountId")
    unused: Counter[tuple[str, int]] = Counter()
    used: Counter[tuple[str, int]] = Counter()
    for item in _reachable(call, account_id):
        (unused if item.token_status == "NOTUSED" else used)[item.folder_path, item.now.account_id] += 1  # noqa: S105
    return {
        "groups": [
            {
                "folderPath": folder,
                "accountId": account,
                "availableTokens": unused[folder, account],
                "usedTokens": used[folder, account],
            }
            for folder, account in sorted(unused.keys() | used.keys())
        ]
    }


def next_token(call: Call) -> dict[str, Any]:
    folder, config_id = checks.text(call.body, "folderPath"), checks.whole(call.body, "configId")
    if not folder and config_id is None:
        raise Refusal("folderPath or configId is required.")
    statuses = call.body.get("status") or ["ACTIVE", "PENDING"]
    for item in _reachable(call, checks.whole(call.body, "accountId")):
        fits = folder in {None, item.folder_path} and config_id in {None, item.now.config_id}
        if fits and item.token_status == "NOTUSED" and status_of(item, call.now) in statuses:  # noqa: S105
            return {"entitlements": show_entitlement(item, call.now)}
    raise Refusal("No available token.")


def _reachable(call: Call, account_id: int | None) -> list[Entitlement]:
    return [
        item
        for item in call.world.entitlements
        if not item.removed
        and item.visible_from <= call.now
        and call.reaches(item.now.account_id)
        and account_id in {None, item.now.account_id}
    ]
