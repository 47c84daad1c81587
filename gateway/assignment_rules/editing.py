"""Rules as the operator enters them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from gateway.models import AssignmentRule, Config, Entitlement, Program, ProgramAccount
from gateway.provisioning.checks import check_folder
from tenants.actors import Actor
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.directory import resolve_tenant
from tenants.problems import Problem, invalid, not_found

CRITERIA = ("account_id", "program", "config", "config_name", "folder_path", "description")
PLAIN = ("name", "priority", "enabled", "account_id", "config_name", "folder_path", "description")


def create_rule(actor: Actor, *, fields: Mapping[str, Any]) -> AssignmentRule:
    """A new rule. Problem `invalid` names the field; `state_conflict` if the name is taken. Nothing is assigned before it is applied."""
    with acting_as(actor):
        rule = AssignmentRule(created_by=actor.name)
        _fill(actor, rule, fields)
        _save(rule)
        _audit(actor, rule, "assignment_rule.created", before=None, after=describe_rule(rule))
    return rule


def change_rule(actor: Actor, rule_id: UUID, *, fields: Mapping[str, Any]) -> AssignmentRule:
    """Change what is named; null takes a criterion away. What it assigned so far stays assigned."""
    with acting_as(actor):
        rule = find_rule(rule_id, lock=True)
        before = describe_rule(rule)
        _fill(actor, rule, fields)
        after = describe_rule(rule)
        if after != before:
            _save(rule)
            _audit(actor, rule, "assignment_rule.changed", before=before, after=after)
    return rule


def delete_rule(actor: Actor, rule_id: UUID) -> None:
    """What it assigned so far stays assigned."""
    with acting_as(actor):
        rule = find_rule(rule_id, lock=True)
        _audit(actor, rule, "assignment_rule.deleted", before=describe_rule(rule), after=None)
        rule.delete()


def find_rule(rule_id: UUID, *, lock: bool = False) -> AssignmentRule:
    """Inside an open `acting_as`. Problem `not_found`."""
    rows = AssignmentRule.objects.select_related("tenant").filter(id=rule_id)
    rule = (rows.select_for_update(of=("self",)) if lock else rows).first()
    if rule is None:
        raise not_found()
    return rule


def describe_rule(rule: AssignmentRule) -> dict[str, Any]:
    """A rule as the API shows it and audit keeps it; criteria left out are null."""
    return {
        "id": rule.id,
        "name": rule.name,
        "tenant": rule.tenant.slug,
        "priority": rule.priority,
        "account_id": rule.account_id,
        "program": rule.program_id,
        "config": rule.config_id,
        "config_name": rule.config_name or None,
        "folder_path": rule.folder_path or None,
        "description": rule.description or None,
        "enabled": rule.enabled,
        "created_at": rule.created_at,
    }


def _fill(actor: Actor, rule: AssignmentRule, fields: Mapping[str, Any]) -> None:
    if "tenant" in fields:
        tenant = resolve_tenant(actor, fields["tenant"])
        if tenant is None:
            raise invalid("/tenant", "Name the tenant that this rule assigns to.")
        rule.tenant = tenant
    if fields.get("program") is not None and not Program.objects.filter(pk=fields["program"]).exists():
        raise invalid("/program", "There is no such program in the mirror.")
    if fields.get("config") is not None and not Config.objects.filter(pk=fields["config"]).exists():
        raise invalid("/config", "There is no such configuration in the mirror.")
    if fields.get("account_id") is not None and not _is_known_account(fields["account_id"]):
        raise invalid("/account_id", "There is no such account in the mirror.")
    if fields.get("folder_path"):
        check_folder(fields["folder_path"])
    for name in PLAIN:
        if name in fields:
            empty = "" if name in {"config_name", "folder_path", "description"} else None
            setattr(rule, name, empty if fields[name] is None else fields[name])
    for name in ("program", "config"):
        if name in fields:
            setattr(rule, f"{name}_id", fields[name])
    shown = describe_rule(rule)
    if all(shown[name] is None for name in CRITERIA):
        raise invalid("/", f"Give at least one criterion: {', '.join(CRITERIA)}.")


def _is_known_account(account_id: int) -> bool:
    mirrored = (ProgramAccount, Config, Entitlement)
    return any(model.objects.filter(account_id=account_id).exists() for model in mirrored)


def _save(rule: AssignmentRule) -> None:
    try:
        with transaction.atomic():
            rule.save()
    except IntegrityError as error:
        if "one_assignment_rule_per_name" not in str(error):
            raise
        raise Problem("state_conflict", f"A rule called {rule.name!r} exists already; choose another name.") from error


def _audit(actor: Actor, rule: AssignmentRule, action: str, *, before: Any, after: Any) -> None:
    """In the operator's own chain: which rule picked a customer's entitlement is not the customer's to read."""
    record_audit(
        actor,
        action,
        subject_type="assignment_rule",
        subject_key=rule.id,
        tenant_id=None,
        before=before,
        after=after,
    )
