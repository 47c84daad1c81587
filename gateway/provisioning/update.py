"""Change an entitlement: text, end date, labels, config, or the size of this one alone."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from gateway.models import Config, Entitlement, Operation
from gateway.operations import JOURNAL, refuse_if_in_progress
from gateway.provisioning import checks
from gateway.provisioning.change import change_entitlement, lock_entitlement
from gateway.provisioning.configs import is_awaited, plan_copy, update_config
from gateway.provisioning.estimates import learn_prices, price_size
from gateway.provisioning.guards import ENDED, guard_move, guard_resize, needs_points
from gateway.provisioning.idempotency import Outcome, carry_out, start_operation
from gateway.provisioning.manner import AS_USUAL, Manner
from gateway.provisioning.sizes import find_twin, merge_changed
from gateway.provisioning.writes.changes import HAS_AN_END_TO_CHANGE
from gateway.provisioning.writes.storing import store_labels
from tenants.actors import Actor
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.problems import Problem, invalid


def update_entitlement(
    actor: Actor,
    serial: str,
    *,
    changes: Mapping[str, Any],
    manner: Manner = AS_USUAL,
    unless: Callable[[], None] = lambda: None,
) -> Outcome | None:
    """Apply `changes` (description, end_date, labels, operator_labels, config, parameters). None = nothing had to go upstream.

    Labels are ours alone, so they never cost a call. `parameters` resizes this entitlement alone: its config if nobody else is under
    it, else a config of its own that it moves to. `unless` raises the Problem of a caller that saw another state; asked with the row locked.
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
        unless()
        if upstream:
            _check_changes(actor, row, changes)
    intent = _intent(row, changes)
    if "parameters" in changes:
        resized = _resize(actor, row, changes["parameters"], rest=intent, manner=manner)
        if isinstance(resized, Outcome):
            if resized.operation.state != Operation.State.FAILED:
                _store_labels(actor, serial, changes)  # whatever it looks like by now: this change made it so
            return resized
        intent |= {} if resized is None else {"config_id": resized}
        changes = changes if resized is None else {**changes, "config": resized}
    if not intent:
        _store_labels(actor, serial, changes, unless=unless)
        return None
    if "config_id" in intent:
        _price_move(actor, row, intent["config_id"])
    return change_entitlement(
        actor,
        serial,
        kind=Operation.Kind.UPDATE_ENTITLEMENT,
        check=lambda locked: _check_and_guard(actor, locked, changes, unless=unless),
        intent=intent | {name: dict(changes[name]) for name in ("labels", "operator_labels") if name in changes},
        before=lambda locked: {
            "config_id": locked.config_id,
            "description": locked.description,
            "end_day": locked.end_day.isoformat() if locked.end_day else None,
        },
        manner=manner,
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


def _price_move(actor: Actor, row: Entitlement, target: int) -> None:
    """What the sizes cost, where a limit of points of the owner decides. Before the row is locked again."""
    with acting_as(actor):
        owner = Tenant.objects.filter(id=row.tenant_id).first() if row.tenant_id else None
        configs = list(Config.objects.visible_to(actor).filter(id__in=[row.config_id, target]))
    learn_prices(owner, *configs)


def _check_and_guard(
    actor: Actor, row: Entitlement, changes: Mapping[str, Any], *, unless: Callable[[], None]
) -> Decimal | None:
    """`_check_changes`, and the limit of points: by how much it will be more a day."""
    unless()
    target = _check_changes(actor, row, changes)
    owner = Tenant.objects.filter(id=row.tenant_id).first() if row.tenant_id else None
    return None if target is None else guard_move(owner, [row], target)


def _check_changes(actor: Actor, row: Entitlement, changes: Mapping[str, Any]) -> Config | None:
    """States and values (reference 2.4, entitlements/update); the config that it is to stand under, if that is another one."""
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
        return target
    return None


def _resize(
    actor: Actor, row: Entitlement, parameters: list[dict[str, Any]], *, rest: Mapping[str, Any], manner: Manner
) -> Outcome | int | None:
    """The id of the config to move to; an Outcome where the config must be changed or made first; None where nothing differs.

    `rest` is what else was asked for: it follows by itself once the config is as it should be.
    """
    config = row.config
    checks.check_changed_parameters(config, parameters)
    if (wanted := merge_changed(config, parameters)) is None:
        return None
    with acting_as(JOURNAL):
        others = Entitlement.objects.filter(config=config).exclude(serial_number=row.serial_number).exists()
        alone = not others and not config.offers.exists() and not is_awaited(config)
        owner = Tenant.objects.filter(id=row.tenant_id).first() if row.tenant_id else None
        twin = find_twin(owner, config, wanted)
    own = alone and config.tenant_id == row.tenant_id
    if actor.reach is not None and not (own and config.id in actor.reach.configs):
        raise Problem("token_narrowed", "This would need another config, and your token is narrowed to those it names.")
    then = {"entitlement": {**rest, "serial": row.serial_number}}
    if own:
        return update_config(actor, config.id, parameters=parameters, then=then if rest else {}, manner=manner)
    if twin is not None:
        return twin.id
    price = None
    if needs_points(owner):
        learn_prices(owner, config)
        price = price_size(config, wanted, tenant=owner)
    with acting_as(actor):
        with acting_as(JOURNAL):
            standing = Config.objects.get(id=config.id)
            more = guard_resize(owner, standing, number=int(row.status not in ENDED), price=price)
        plan = plan_copy(config, owner, parameters=wanted, serial=row.serial_number, then=then)
        plan = replace(plan, points_per_day=more)
        refuse_if_in_progress(serial_numbers=[row.serial_number])
        outcome = start_operation(actor, plan, manner=manner, earlier=None)
    return carry_out(outcome, manner)


def _store_labels(
    actor: Actor, serial: str, changes: Mapping[str, Any], *, unless: Callable[[], None] = lambda: None
) -> None:
    with acting_as(actor):
        row = lock_entitlement(actor, serial)
        unless()
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
