"""The event types of the ground floor."""

from tenants.events import register_event


def register_events() -> None:
    register_event("tenant.created", "A tenant was created.")
    register_event("tenant.suspended", "A tenant was suspended: all its tokens are refused; points and billing go on.")
    register_event("tenant.active", "A suspended tenant is active again.")
