"""The event types of the gateway."""

from tenants.events import DAY, POINTS, SERIALS, TEXT, WHOLE, register_event


def register_events() -> None:
    register_event(
        "entitlement.appeared",
        "An entitlement was found that was made outside the gateway, or by data.operation, which is not settled yet: leave it to that.",
        data={"status": TEXT, "config": WHOLE},
        optional={"operation": TEXT},
    )
    register_event("entitlement.vanished", "An entitlement is no longer in FortiFlex's list.")
    register_event("entitlement.returned", "An entitlement that had vanished is in FortiFlex's list again.")
    register_event(
        "entitlement.changed_outside",
        "An entitlement was changed outside the gateway; data names the new values.",
        optional={
            "status": TEXT,
            "config": WHOLE,
            "account_id": WHOLE,
            "program": TEXT,
            "end_date": {**DAY, "type": ["string", "null"]},
        },
    )
    register_event(
        "entitlement.tag_changed",
        "Somebody changed or removed our tag in an entitlement's description. Ownership stays.",
    )
    register_event(
        "entitlement.assigned", "An entitlement belongs to this tenant from data.from_day on.", data={"from_day": DAY}
    )
    register_event(
        "entitlement.unassigned",
        "An entitlement no longer belongs to this tenant from data.from_day on.",
        data={"from_day": DAY},
    )
    register_event("operation.succeeded", "An upstream write was done.", data={"kind": TEXT, "entitlements": SERIALS})
    register_event(
        "operation.failed",
        "An upstream write was not done, or not in whole; data.code says why.",
        data={"kind": TEXT, "entitlements": SERIALS, "code": TEXT, "detail": TEXT},
    )
    register_event(
        "operation.unknown",
        "An upstream write's outcome is not known yet; reconciliation will settle it.",
        data={"kind": TEXT},
    )
    register_event(
        "operation.repeated",
        "An equal creation followed an answered one within a minute, by a client that names no key: look whether both were meant.",
        data={"kind": TEXT, "of": TEXT},
    )
    register_event(
        "reconciliation.duplicate",
        "An entitlement exists that an operation already settled otherwise: look at it.",
        data={"entitlements": SERIALS, "attempt": WHOLE},
    )
    register_event(
        "points.corrected",
        "FortiFlex changed the points of a past day.",
        data={"day": DAY, "old_points": POINTS, "new_points": POINTS},
    )
