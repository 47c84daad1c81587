"""Create entitlements: VMs, hardware, cloud. Checked in full before anything is written or sent."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from gateway.catalogue import Form, form_of
from gateway.models import Entitlement, Operation, Program
from gateway.operations import Plan
from gateway.provisioning import checks
from gateway.provisioning.drafts import GroundChanged, draft_operation
from gateway.provisioning.estimates import CALC_WAIT, learn_prices, points_of_config
from gateway.provisioning.ground import Ground, find_ground, recall_ground
from gateway.provisioning.guards import guard_creation, guard_product, guard_program, has_limits, needs_points
from gateway.provisioning.idempotency import (
    Outcome,
    carry_out,
    carry_out_draft,
    find_earlier,
    replay_of,
    start_operation,
)
from gateway.provisioning.manner import AS_USUAL, Manner
from tenants.actors import Actor
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.problems import Problem, invalid

KIND_BY_FORM = {
    "vm": Operation.Kind.CREATE_VM,
    "hardware": Operation.Kind.CREATE_HARDWARE,
    "cloud": Operation.Kind.CREATE_CLOUD,
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants created. `count` is for VMs, `serial_numbers` for hardware, neither for cloud."""

    config: int
    count: int | None = None
    serial_numbers: tuple[str, ...] | None = None
    description: str = ""
    end_date: date | None = None
    folder_path: str | None = None
    skip_pending: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


def create_entitlements(actor: Actor, wish: Wish, *, tenant: Tenant | None, manner: Manner = AS_USUAL) -> Outcome:
    """Journal the creation, send it (unless the worker is to), settle it. A refusal is a Problem and leaves no row."""
    if (outcome := _create_as_known(actor, wish, tenant=tenant, manner=manner)) is not None:
        return outcome
    earlier = find_earlier(actor, manner.key)
    if (replay := replay_of(earlier)) is not None:
        return replay
    ground = find_ground(actor, wish.config, tenant=tenant)
    form = _check_wish(wish, ground, tenant)
    if form == "hardware":
        with acting_as(actor):
            _check_available(actor, wish)
    began = time.monotonic()
    points = points_of_config(
        ground.config,
        tenant=tenant,
        ask=not manner.deferred or needs_points(tenant),
        wait_seconds=manner.wait_seconds / 3 if not manner.deferred else CALC_WAIT,
    )
    learn_prices(tenant, wait_seconds=CALC_WAIT if manner.deferred else min(CALC_WAIT, manner.wait_seconds / 3))
    manner = manner.after(time.monotonic() - began)
    plan = _plan(wish, ground, form, tenant, points)
    if form == "vm" and _is_plain(manner, tenant):
        return carry_out_draft(draft_operation(actor, plan, manner=manner), manner)
    with acting_as(actor):
        if form == "hardware":
            _check_available(actor, wish)  # again, now that nobody can come in between
        try:
            guard_creation(tenant, count=_count(wish), points_per_day=plan.points_per_day)
        except Problem:
            # The other of two with one key may have been counted: that one is ours too.
            if (replay := replay_of(find_earlier(actor, manner.key))) is not None:
                return replay
            raise
        outcome = start_operation(actor, plan, manner=manner, earlier=earlier)
    return carry_out(outcome, manner)


def _create_as_known(actor: Actor, wish: Wish, *, tenant: Tenant | None, manner: Manner) -> Outcome | None:
    """The same on what was read lately, which the sending looks at once more; None, and nothing done, where more is to be asked."""
    if not _is_plain(manner, tenant):
        return None
    try:
        ground = recall_ground(actor, wish.config, tenant=tenant)
        if ground is None or ground.config.points_per_day is None or _check_wish(wish, ground, tenant) != "vm":
            return None
    except Problem:
        return None  # whether that is still so has to be asked
    plan = _plan(wish, ground, "vm", tenant, ground.config.points_per_day)
    try:
        return carry_out_draft(draft_operation(actor, plan, manner=manner, unchanged=ground.unchanged), manner)
    except GroundChanged:
        return None


def _is_plain(manner: Manner, tenant: Tenant | None) -> bool:
    """Nobody can ask for it a second time by a key, and nothing has to be counted first."""
    return manner.key is None and not manner.deferred and not has_limits(tenant)


def _check_wish(wish: Wish, ground: Ground, tenant: Tenant | None) -> Form:
    form = form_of(ground.product, ground.config.product_type_id)
    _check_form(wish, form)
    _check_values(wish, ground.program)
    guard_product(tenant, ground.config.product_type_id)
    return form


def _count(wish: Wish) -> int:
    return len(wish.serial_numbers or ()) or wish.count or 1


def _check_form(wish: Wish, form: Form) -> None:
    """A config of one form can't make entitlements of another: each says so by what it is asked with."""
    if form != "hardware" and wish.serial_numbers is not None:
        raise _wrong_form("/serial_numbers", f"This is a {form} configuration: FortiFlex gives the serial numbers.")
    if form != "vm" and wish.count is not None:
        how = "name serial_numbers instead" if form == "hardware" else "one is made per account; leave count out"
        raise _wrong_form("/count", f"This is a {form} configuration: {how}.")
    if form == "hardware" and wish.serial_numbers is None:
        raise invalid("/serial_numbers", "This is a hardware configuration: name the serial numbers.")
    if form != "vm" and wish.skip_pending:
        raise invalid("/skip_pending", f"This is a {form} configuration: it is active at once.")
    if form == "hardware" and wish.folder_path is not None:
        raise invalid("/folder_path", "FortiFlex takes no folder for hardware.")


def _wrong_form(pointer: str, detail: str) -> Problem:
    errors = [{"pointer": pointer, "detail": detail}, {"pointer": "/config", "detail": detail}]
    return Problem("invalid", detail, errors=errors)


def _check_values(wish: Wish, program: Program) -> None:
    if wish.count is not None:
        checks.check_count(wish.count)
    if wish.serial_numbers is not None:
        checks.check_serial_numbers(wish.serial_numbers)
    checks.check_description(wish.description)
    if wish.end_date is not None:
        checks.check_end_date(wish.end_date, program=program)
    if wish.folder_path is not None:
        checks.check_folder(wish.folder_path)
    checks.check_labels(wish.labels)
    guard_program(program)


def _check_available(actor: Actor, wish: Wish) -> None:
    """What is one's own already can't be registered again. Whether a stranger has it is asked when it is sent (provisioning.standing)."""
    serials = list(wish.serial_numbers or ())
    mine = sorted(
        Entitlement.objects.visible_to(actor)
        .filter(serial_number__in=serials, vanished_at__isnull=True)
        .values_list("serial_number", flat=True)
    )
    if mine:
        raise Problem("state_conflict", f"These are registered already: {', '.join(mine)}.")


def _plan(wish: Wish, ground: Ground, form: Form, tenant: Tenant | None, points: Decimal | None) -> Plan:
    config, api_user = ground.config, ground.api_user
    intent: dict[str, object] = {
        "description": wish.description,
        "end_day": wish.end_date.isoformat() if wish.end_date else None,
        "folder_path": wish.folder_path,
        "labels": dict(wish.labels),
    }
    if form == "vm":
        intent |= {"count": 1 if wish.count is None else wish.count, "skip_pending": wish.skip_pending}
    if form == "hardware":
        intent |= {"serial_numbers": list(wish.serial_numbers or ())}
    return Plan(
        kind=KIND_BY_FORM[form],
        tenant_id=tenant.id if tenant else None,
        api_user_id=api_user.id,
        program_serial=config.program_id,
        account_id=config.account_id,
        config_id=config.id,
        serial_numbers=wish.serial_numbers or (),
        intent=intent,
        points_per_day=None if points is None else points * _count(wish),
        neighbours=(tenant, api_user, config),
    )
