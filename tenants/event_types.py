"""The event types of the ground floor."""

from tenants.events import TEXT, WHOLE, register_event


def register_events() -> None:
    register_event("tenant.created", "A tenant was created.")
    register_event("tenant.suspended", "A tenant was suspended: all its tokens are refused; points and billing go on.")
    register_event("tenant.active", "A suspended tenant is active again.")
    register_event(
        "audit.head",
        "The audit trail was sealed up to data.position. Keep data.hash outside: a trail that is cut or rewritten no longer matches it.",
        data={"position": WHOLE, "hash": TEXT},
    )
