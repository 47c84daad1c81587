"""The event types of billing."""

from tenants.events import TEXT, register_event


def register_events() -> None:
    register_event("statement.issued", "A statement was issued; the subject is its number.", data={"month": TEXT})
