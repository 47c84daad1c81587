"""Every call, by its path under …/fortiflex/v2/. A handler takes a Call and returns the payload of the envelope."""

from collections.abc import Callable
from typing import Any

from gateway.sandbox.calls import configs, entitlements, groups, making, points, programs, tools
from gateway.sandbox.calls.call import Call

HANDLERS: dict[str, Callable[[Call], dict[str, Any]]] = {
    "programs/list": programs.list_programs,
    "programs/points": programs.read_balance,
    "configs/list": configs.list_configs,
    "configs/create": configs.create_config,
    "configs/update": configs.update_config,
    "configs/enable": configs.enable_config,
    "configs/disable": configs.disable_config,
    "entitlements/list": entitlements.list_entitlements,
    "entitlements/vm/create": making.create_vm,
    "entitlements/hardware/create": making.create_hardware,
    "entitlements/hardware/remove": entitlements.remove_hardware,
    "entitlements/cloud/create": making.create_cloud,
    "entitlements/update": entitlements.update_entitlement,
    "entitlements/stop": entitlements.stop_entitlement,
    "entitlements/reactivate": entitlements.reactivate_entitlement,
    "entitlements/vm/token": entitlements.renew_token,
    "entitlements/points": points.total_points,
    "entitlements/transfer": entitlements.transfer,
    "groups/list": groups.list_groups,
    "groups/nexttoken": groups.next_token,
    "tools/calc": tools.calculate,
    "tools/metadata": tools.metadata,
}
WRITES = frozenset(
    path
    for path in HANDLERS
    if not path.startswith(("programs/", "groups/", "tools/")) and not path.endswith(("/list", "/points"))
)
