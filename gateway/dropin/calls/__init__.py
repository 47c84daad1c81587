"""Every call by its path under …/fortiflex/v2/: the scope it takes, and whether a narrowed token may make it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.dropin.calls import configs, entitlements, groups, points, programs, tools
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
    "entitlements/list": Call("entitlements:read", entitlements.list_entitlements),
    "entitlements/points": Call("consumption:read", points.total_points),
    "groups/list": Call("entitlements:read", groups.list_groups),
    "groups/nexttoken": Call("entitlements:write", groups.find_next_token),
    "tools/calc": Call("estimates:read", tools.calculate, narrowed=False, reads=False),
    "tools/metadata": Call("estimates:read", tools.read_metadata, narrowed=False),
}
V1_CALLS = frozenset({"groups/list"})  # what Terraform and Ansible still ask of v1
