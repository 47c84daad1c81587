"""The events of what happened behind our back."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.models import Entitlement
from gateway.tags import Tag, split_tag
from tenants.events import Happening

WATCHED = ("status", "config_id", "account_id", "program_id", "end_day")
SHOWN_AS = {"config_id": "config", "program_id": "program", "end_day": "end_date"}


def happened(event: str, row: Entitlement, data: Mapping[str, Any]) -> Happening:
    return Happening(event, "entitlement", row.serial_number, row.tenant_id, data)


def tell_change(row: Entitlement, before: Mapping[str, Any], tag: Tag | None) -> Iterator[Happening]:
    """`before`: what WATCHED and upstream_description were; `tag`: the one that stands there now."""
    _, tag_before = split_tag(str(before["upstream_description"]))
    if tag_before is not None and tag_before != tag:
        yield happened("entitlement.tag_changed", row, {})
    after = {name: getattr(row, name) for name in WATCHED}
    differing = {SHOWN_AS.get(name, name): value for name, value in after.items() if before[name] != value}
    if differing:
        yield happened("entitlement.changed_outside", row, differing)
