"""One answer from all rules: what the caller may be told, the worst first."""

from typing import Any

from gateway.diagnosis.facts import Facts
from gateway.diagnosis.reading import read_facts
from gateway.diagnosis.registry import OPERATIONS, RULES
from gateway.diagnosis.rule import Rule, Severity
from tenants.actors import Actor
from tenants.problems import not_found


def diagnose_entitlement(actor: Actor, serial: str) -> dict[str, Any]:
    """As the API shows it. Inside `acting_as(actor)`; Problem `not_found` for what neither is nor ever was the actor's.

    Whoever owned it once is told of its own days and operations, and of today nothing but that it is not theirs.
    """
    facts = read_facts(actor, serial)
    if facts is None:
        raise not_found()
    lacking = _lacking_scopes(actor, facts)
    findings = [found for rule in RULES if _may_be_told(rule, facts, lacking) for found in _apply(rule, facts, lacking)]
    return {
        "serial_number": serial,
        "checked_at": facts.now,
        "mirror": _describe_mirror(facts),
        "findings": sorted(findings, key=lambda found: list(Severity).index(found["severity"])),
        "left_out": sorted(lacking),
    }


def _apply(rule: Rule, facts: Facts, lacking: set[str]) -> list[dict[str, Any]]:
    told = rule.find(facts)
    if told is None:
        return []
    # Whoever may not read operations is not given the id of one either.
    hidden = {"operation"} if OPERATIONS in lacking else set()
    return [
        {
            "code": rule.code,
            "severity": rule.severity,
            "message": told.message,
            "since": told.since,
            "details": {name: value for name, value in told.details.items() if name not in hidden},
        }
    ]


def _may_be_told(rule: Rule, facts: Facts, lacking: set[str]) -> bool:
    if rule.scope in lacking or (rule.operators_only and not facts.sees_all):
        return False
    return facts.row is not None or rule.for_past_owners


def _lacking_scopes(actor: Actor, facts: Facts) -> set[str]:
    """Of those that some rules need. What staff may do differs from tenant to tenant: the owner's counts, or the last own period's."""
    wanted = {rule.scope for rule in RULES if rule.scope is not None}
    tenant_id = facts.row.tenant_id if facts.row is not None else facts.periods[-1].tenant_id
    return {scope for scope in wanted if not actor.may_on(scope, tenant_id)}


def _describe_mirror(facts: Facts) -> dict[str, Any] | None:
    if facts.row is None:
        return None
    synced_at = facts.standing.mirrored_at
    age = None if synced_at is None else max(0, round((facts.now - synced_at).total_seconds()))
    return {"synced_at": synced_at, "age_seconds": age}
