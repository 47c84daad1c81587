"""Change an entitlement: text, end date, labels, config, or the size of this one alone."""

from collections.abc import Mapping
from typing import Any

from gateway.models import Config, Entitlement, Operation
from gateway.operations import JOURNAL
from gateway.provisioning import checks
from gateway.provisioning.change import change_entitlement, lock_entitlement
from gateway.provisioning.configs import create_config, merge_parameters, parameters_differ, update_config
from gateway.provisioning.idempotency import Outcome
from gateway.provisioning.writes.changes import HAS_AN_END_TO_CHANGE
from gateway.provisioning.writes.storing import store_labels
from tenants.actors import Actor
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.problems import Problem, invalid


def update_entitlement(
    actor: Actor, serial: str, *, changes: Mapping[str, Any], deferred: bool = False
) -> Outcome | None:
    """Apply `changes` (description, end_date, labels, operator_labels, config, parameters). None = nothing had to go upstream.

    Labels are ours alone, so they never cost a call. `parameters` resizes this entitlement alone: its config if nobody else is under
    it, else a config of its own that it moves to.
    """
    if "config" in changes and "parameters" in changes:
        raise invalid("/parameters", "Name either a config to move to or parameters to change, not both.")
    if "operator_labels" in changes and not actor.sees_every_tenant:
        raise Problem("operator_only", "Only the operator sets operator_labels.")
    if "description" in changes:
        checks.check_description(changes["description"])
    for name in ("labels", "operator_labels"):
        if name in changes:
            checks.check_labels(changes[name], pointer=f"/{name}")
    upstream = set(changes) - {"labels", "operator_labels"}
    with acting_as(actor):
        row = lock_entitlement(actor, serial)
        config = row.config
        if upstream:
            _check_changes(actor, row, changes)
    if "parameters" in changes:
        resized = _resize(actor, row, config, changes["parameters"], deferred=deferred)
        changes = {name: value for name, value in changes.items() if name != "parameters"}
        if isinstance(resized, Outcome):
            if not changes or resized.operation.state != Operation.State.SUCCEEDED:
                return resized
        elif resized is not None:
            changes = {**changes, "config": resized}
    intent = _intent(row, changes)
    if not intent:
        _store_labels(actor, serial, changes)
        return None
    return change_entitlement(
        actor,
        serial,
        kind=Operation.Kind.UPDATE_ENTITLEMENT,
        check=lambda locked: _check_changes(actor, locked, changes),
        intent=intent | {name: dict(changes[name]) for name in ("labels", "operator_labels") if name in changes},
        before=lambda locked: {
            "config_id": locked.config_id,
            "description": locked.description,
            "end_day": locked.end_day.isoformat() if locked.end_day else None,
        },
        deferred=deferred,
    )


def _intent(row: Entitlement, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What FortiFlex must be told: only what differs from what stands there."""
    intent: dict[str, Any] = {}
    if "description" in changes and changes["description"] != row.description:
        intent["description"] = changes["description"]
    if "end_date" in changes and changes["end_date"] != row.end_day:
        intent["end_day"] = changes["end_date"].isoformat()
    if "config" in changes and changes["config"] != row.config_id:
        intent["config_id"] = changes["config"]
    return intent


def _check_changes(actor: Actor, row: Entitlement, changes: Mapping[str, Any]) -> None:
    """States and values (reference 2.4, entitlements/update)."""
    if row.status == "EXPIRED":
        raise Problem("state_conflict", "This entitlement is expired; FortiFlex changes nothing about it any more.")
    if "end_date" in changes and changes["end_date"] != row.end_day:
        if row.status not in HAS_AN_END_TO_CHANGE:
            raise Problem("state_conflict", f"The end date of a {row.status.lower()} entitlement can't be changed.")
        checks.check_end_date(changes["end_date"], program=checks.program_of(row.config))
    if "config" in changes and changes["config"] != row.config_id:
        owner = Tenant.objects.filter(id=row.tenant_id).first() if row.tenant_id else None
        target = checks.usable_config(actor, changes["config"], tenant=owner)
        if (target.program_id, target.account_id) != (row.program_id, row.account_id):
            raise invalid("/config", "This configuration lies in another account or program.")
        if target.product_type_id != row.config.product_type_id:
            raise invalid("/config", "This configuration is for another product than the entitlement.")


def _resize(
    actor: Actor, row: Entitlement, config: Config, parameters: list[dict[str, Any]], *, deferred: bool
) -> Outcome | int | None:
    """The id of the config to move to; an Outcome where that is all, or not known yet; None where nothing differs."""
    wanted = merge_parameters(config, parameters)
    if not parameters_differ(config, wanted):
        return None
    with acting_as(JOURNAL):
        others = Entitlement.objects.filter(config=config).exclude(serial_number=row.serial_number).exists()
        alone = not others and not config.offers.exists()
        owner = Tenant.objects.filter(id=row.tenant_id).first() if row.tenant_id else None
        twin = _find_twin(row, config, wanted)
    own = alone and config.tenant_id == row.tenant_id
    if actor.reach is not None and not (own and config.id in actor.reach.configs):
        raise Problem("token_narrowed", "This would need another config, and your token is narrowed to those it names.")
    if own:
        return update_config(actor, config.id, parameters=wanted, deferred=deferred)
    if twin is not None:
        return twin.id
    made = create_config(
        actor,
        tenant=owner,
        program=config.program_id,
        account_id=config.account_id,
        # A config may be somebody else's: its name is not for this tenant to see.
        name=f"{config.name[:140] if config.tenant_id in {None, row.tenant_id} else 'resized'} for {row.serial_number}",
        product_type_id=config.product_type_id,
        parameters=wanted,
    )
    return made.operation.config_id if made.operation.state == Operation.State.SUCCEEDED else made


def _find_twin(row: Entitlement, config: Config, wanted: list[dict[str, Any]]) -> Config | None:
    """A config of the same owner that is this size already, such as the one that a first try made."""
    same = Config.objects.filter(
        tenant=row.tenant,
        program_id=config.program_id,
        account_id=config.account_id,
        product_type_id=config.product_type_id,
        status="ACTIVE",
        vanished_at__isnull=True,
    )
    return next((twin for twin in same.order_by("id") if not parameters_differ(twin, wanted)), None)


def _store_labels(actor: Actor, serial: str, changes: Mapping[str, Any]) -> None:
    with acting_as(actor):
        row = lock_entitlement(actor, serial)
        before = {"labels": row.labels, "operator_labels": row.operator_labels}
        after = before | {name: dict(changes[name]) for name in before if name in changes}
        if after == before:
            return
        with acting_as(JOURNAL):
            store_labels(serial, labels=after["labels"], operator_labels=after["operator_labels"])
        record_audit(
            actor,
            "entitlement.labelled",
            subject_type="entitlement",
            subject_key=serial,
            tenant_id=row.tenant_id,
            before=before,
            after=after,
        )
