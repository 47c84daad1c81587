"""Every call by its path under …/fortiflex/v2/: the scope it takes, and whether a narrowed token may make it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.dropin.calls import changes, config_writes, configs, creates, entitlements, groups, points, programs, tools
from gateway.dropin.places import Asked


@dataclass(frozen=True, slots=True)
class Call:
    """`answer` gives the payload of the envelope. `reads` = it is called inside `acting_as(actor)` and asks nobody but the database.

    `narrowed` = its reach can be told from the serials and configs it is about, so that a narrowed token may make it.
    """

    scope: str
    answer: Callable[[Asked], Mapping[str, Any]]
    narrowed: bool = True
    reads: bool = True


CALLS: dict[str, Call] = {
    "programs/list": Call("programs:read", programs.list_programs, narrowed=False),
    "programs/points": Call("programs:read", programs.read_balance, narrowed=False),
    "configs/list": Call("configs:read", configs.list_configs),
    "configs/create": Call("configs:write", config_writes.create, narrowed=False, reads=False),
    "configs/update": Call("configs:write", config_writes.update, reads=False),
    "configs/enable": Call("configs:write", config_writes.enable, reads=False),
    "configs/disable": Call("configs:write", config_writes.disable, reads=False),
    "entitlements/list": Call("entitlements:read", entitlements.list_entitlements),
    "entitlements/points": Call("consumption:read", points.total_points),
    "entitlements/vm/create": Call("entitlements:write", creates.create_vms, reads=False),
    "entitlements/hardware/create": Call("entitlements:write", creates.create_hardware, reads=False),
    "entitlements/hardware/remove": Call("entitlements:write", changes.remove, reads=False),
    "entitlements/cloud/create": Call("entitlements:write", creates.create_cloud, reads=False),
    "entitlements/update": Call("entitlements:write", changes.update, reads=False),
    "entitlements/stop": Call("entitlements:switch", changes.stop, reads=False),
    "entitlements/reactivate": Call("entitlements:switch", changes.reactivate, reads=False),
    "entitlements/vm/token": Call("entitlements:write", changes.renew, reads=False),
    "entitlements/transfer": Call("entitlements:write", changes.transfer, narrowed=False, reads=False),
    "groups/list": Call("entitlements:read", groups.list_groups),
    "groups/nexttoken": Call("entitlements:write", groups.find_next_token),
    "tools/calc": Call("estimates:read", tools.calculate, narrowed=False, reads=False),
    "tools/metadata": Call("estimates:read", tools.read_metadata, narrowed=False),
}
V1_CALLS = frozenset({"groups/list"})  # what Terraform and Ansible still ask of v1
