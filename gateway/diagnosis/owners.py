"""Whose it is, was and will be. A tenant is told of its own days alone, and never whose the others are."""

from dataclasses import dataclass
from datetime import date

from gateway.diagnosis.facts import Facts, Told
from gateway.tags import split_tag
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class NextPeriod:
    """From `from_day` on it is somebody else's; `slug` is known to the operator alone, None = nobody's or not to be told."""

    from_day: date
    slug: str | None


def next_period(facts: Facts) -> NextPeriod | None:
    """The next day on which its owner changes, as far as the caller may know."""
    current = facts.period
    begins = sorted((one for one in facts.periods if one.from_day > facts.day), key=lambda one: one.from_day)
    until = current.until_day if current is not None else None
    following = next((one for one in begins if until is None or one.from_day == until), None)
    if current is None:
        # A coming owner is told of what is its own from then on; only the operator sees it before.
        return NextPeriod(begins[0].from_day, begins[0].tenant.slug) if begins and facts.sees_all else None
    if until is None or (following is not None and following.tenant_id == current.tenant_id):
        return None
    slug = following.tenant.slug if following is not None and facts.sees_all else None
    return NextPeriod(until, slug)


def find_unassigned(facts: Facts) -> Told | None:
    if facts.entitlement.tenant_id is not None:
        return None
    return Told("Nobody owns it: what it consumes is billed to nobody. Assign it.")


def find_proposed_owner(facts: Facts) -> Told | None:
    proposed = facts.entitlement.proposed_tenant
    if not proposed:
        return None
    message = "The tag in its description proposes an owner: confirm it with POST assignments, or assign it otherwise."
    return Told(message, details={"tenant": proposed})


def find_change_of_hands(facts: Facts) -> Told | None:
    change = next_period(facts)
    if change is None:
        return None
    if facts.sees_all:
        details = {"from_day": change.from_day, "tenant": change.slug}
        return Told(f"From {change.from_day} on it is another's, with all of that day's points.", details=details)
    return Told(
        f"From {change.from_day} on it is no longer yours: you neither see nor pay for it from that day. Ask your operator if that is wrong.",
        details={"from_day": change.from_day},
    )


def find_handed_over(facts: Facts) -> Told | None:
    """For who owned it once: of today this tells that it is not theirs, and nothing else."""
    past = [one for one in facts.periods if one.until_day is not None and one.until_day <= facts.day]
    if facts.row is not None or not past:
        return None
    last = max(past, key=lambda one: one.from_day)
    return Told(
        "It is not yours any more. Its points until then are yours; ask your operator about anything else.",
        since=last.until_day,
        details={"from_day": last.from_day, "until_day": last.until_day},
    )


def find_missing_tag(facts: Facts) -> Told | None:
    entitlement = facts.entitlement
    _, tag = split_tag(entitlement.upstream_description)
    if entitlement.tenant_id is None or (tag is not None and tag.valid):
        return None
    message = "Its description upstream carries no tag of ours: ownership stays, and any change of its text writes one."
    return Told(message, details={"upstream_description": entitlement.upstream_description})


def find_tag_of_another(facts: Facts) -> Told | None:
    entitlement, owner = facts.entitlement, _slug_of(facts.entitlement.tenant)
    _, tag = split_tag(entitlement.upstream_description)
    if owner is None or tag is None or not tag.valid or tag.tenant_slug == owner:
        return None
    message = "Its tag upstream names another than its owner: whoever reads the portal is misled. Let tags follow, or change its text."
    return Told(message, details={"tag": tag.tenant_slug, "owner": owner})


def find_suspended_owner(facts: Facts) -> Told | None:
    owner = facts.entitlement.tenant
    if owner is None or owner.status != Tenant.Status.SUSPENDED:
        return None
    message = (
        "Its owner is suspended and can do nothing here, and it goes on consuming: stop it, or lift the suspension."
    )
    return Told(message, details={"tenant": owner.slug})


def _slug_of(tenant: Tenant | None) -> str | None:
    return tenant.slug if tenant is not None else None
