"""What requests leave out, and what answers must hold."""

from collections.abc import Mapping
from typing import Any

from gateway.fortiflex import records, wire

Envelope = Mapping[str, Any]


def only_given(**fields: Any) -> dict[str, Any]:
    """Only what was given: null and absent are not known to mean the same to FortiFlex."""
    return {name: value for name, value in fields.items() if value is not None}


def read_one(envelope: Envelope, *keys: str) -> dict[str, Any]:
    """The one item of an answer that must have exactly one. UnreadableError otherwise."""
    items = wire.read_list(envelope, *keys)
    if len(items) != 1:
        raise wire.UnreadableError(f"Expected one item under {keys[0]}, found {len(items)}.")
    return items[0]


def read_config(envelope: Envelope) -> records.Config:
    return wire.read_config(read_one(envelope, "configs"))


def read_entitlements(envelope: Envelope) -> list[records.Entitlement]:
    return [wire.read_entitlement(raw) for raw in wire.read_list(envelope, "entitlements", "vms")]


def read_written(envelope: Envelope) -> list[records.Entitlement]:
    """The entitlements that a write names. A success that names none leaves its outcome unknown."""
    written = read_entitlements(envelope)
    if not written:
        raise wire.UnreadableError("FortiFlex answered success and named no entitlement.")
    return written


def read_serials(envelope: Envelope) -> list[str]:
    """Just the serials of an answer whose rows are entitlements or points."""
    return [
        str(raw["serialNumber"]) for raw in wire.read_list(envelope, "entitlements", "vms") if raw.get("serialNumber")
    ]
