"""The event types of billing."""

from tenants.events import register_event


def register_events() -> None:
    register_event("statement.issued", "A statement was issued; the subject is its number.")
