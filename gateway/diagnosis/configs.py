"""The configuration that it stands under."""

from gateway.diagnosis.facts import Facts, Told


def find_disabled_config(facts: Facts) -> Told | None:
    """Entitlements of a disabled config don't consume (reference 5.1)."""
    config = facts.entitlement.config
    if config.status != "DISABLED":
        return None
    what = "Enable it" if _may_change(facts) else "Ask your operator to enable it"
    message = f"Its configuration is disabled, so it consumes nothing and may not work. {what}, or move it to another."
    return Told(message, details={"config": config.id})


def find_vanished_config(facts: Facts) -> Told | None:
    config = facts.entitlement.config
    if config.vanished_at is None:
        return None
    message = "FortiFlex no longer lists its configuration: move it to another one."
    return Told(message, since=config.vanished_at, details={"config": config.id})


def find_managed_config(facts: Facts) -> Told | None:
    """The same whether others stand under it or nobody does: how many there are is not a tenant's to learn."""
    config = facts.entitlement.config
    if facts.sees_all or _may_change(facts):
        return None
    message = "Its configuration is your operator's to change. To resize this entitlement alone, change its parameters."
    return Told(message, details={"config": config.id})


def find_shared_config(facts: Facts) -> Told | None:
    if len(facts.use.owners) < 2:
        return None
    message = "More than one owner stands under its configuration: one edit of that re-prices all of them. Resize this one alone."
    owners = {slug or "unassigned": number for slug, number in sorted(facts.use.owners.items())}
    return Told(message, details={"config": facts.entitlement.config_id, "entitlements": owners})


def find_changing_config(facts: Facts) -> Told | None:
    changing = facts.use.changing
    if changing is None:
        return None
    message = (
        "Its configuration is being changed, which may change what it costs a day. Look again when that is settled."
    )
    known = facts.sees_all or changing.tenant_id in facts.tenant_ids
    details = {"config": facts.entitlement.config_id} | ({"operation": changing.id} if known else {})
    return Told(message, since=changing.created_at, details=details)


def _may_change(facts: Facts) -> bool:
    return facts.sees_all or facts.entitlement.config.tenant_id in facts.tenant_ids
