"""The events of what happened behind our back."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.models import Entitlement
from gateway.operations import find_open_creations
from gateway.tags import Tag, split_tag
from tenants.events import Happening

WATCHED = ("status", "config_id", "account_id", "program_id", "end_day")
SHOWN_AS = {"config_id": "config", "program_id": "program", "end_day": "end_date"}


def happened(event: str, row: Entitlement, data: Mapping[str, Any]) -> Happening:
    return Happening(event, "entitlement", row.serial_number, row.tenant_id, data)


def tell_appeared(rows: Sequence[Entitlement]) -> Iterator[Happening]:
    """What a creation of ours may have made, whose answer was lost, is told with its operation: whoever hears of it leaves it to that."""
    if not rows:
        return
    unsettled = find_open_creations()
    for row in rows:
        maker = unsettled.find_maker(
            row.serial_number, config_id=row.config_id, upstream_description=row.upstream_description
        )
        data = {"status": row.status, "config": row.config_id} | ({} if maker is None else {"operation": str(maker)})
        yield happened("entitlement.appeared", row, data)


def tell_change(row: Entitlement, before: Mapping[str, Any], tag: Tag | None) -> Iterator[Happening]:
    """`before`: what WATCHED, upstream_description and vanished_at were; `tag`: the one that stands there now."""
    if before["vanished_at"] is not None:
        yield happened("entitlement.returned", row, {})
    _, tag_before = split_tag(str(before["upstream_description"]))
    if tag_before is not None and tag_before != tag:
        yield happened("entitlement.tag_changed", row, {})
    after = {name: getattr(row, name) for name in WATCHED}
    differing = {SHOWN_AS.get(name, name): value for name, value in after.items() if before[name] != value}
    if differing:
        yield happened("entitlement.changed_outside", row, differing)
