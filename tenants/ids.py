"""Ids of our own rows: UUIDv7, so that they sort by creation and tell nothing else."""

import uuid

import uuid_utils.compat


def new_id() -> uuid.UUID:
    """A new UUIDv7 as the standard library's type."""
    return uuid_utils.compat.uuid7()
