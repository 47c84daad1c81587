"""Moving entitlements into another account, and taking hardware out of FortiFlex."""

import time
from collections.abc import Sequence
from dataclasses import replace

from gateway.catalogue import find_product_type, form_of
from gateway.models import ApiUser, Config, Entitlement, Operation
from gateway.operations import JOURNAL, Plan, refuse_if_in_progress
from gateway.provisioning import checks
from gateway.provisioning.change import lock_entitlement
from gateway.provisioning.configs import plan_copy
from gateway.provisioning.estimates import learn_prices
from gateway.provisioning.guards import guard_move
from gateway.provisioning.idempotency import Outcome, carry_out, find_earlier, replay_of, start_operation
from gateway.provisioning.manner import AS_USUAL, Manner
from gateway.provisioning.sizes import find_twin
from gateway.provisioning.writes.moves import plan_transfer
from gateway.reach import accounts_for
from tenants.actors import Actor
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.problems import Problem, invalid


def transfer_entitlements(
    actor: Actor,
    *,
    serials: Sequence[str],
    target_account: int,
    target_config: int | None = None,
    source_config: int | None = None,
    manner: Manner = AS_USUAL,
) -> Outcome:
    """Move entitlements of one config into another account of the same program, with their history. All or none is asked for.

    Without `target_config` they go under a config of the same size there: one that exists, else a copy that is made first. FortiFlex
    would copy by itself, but then nobody could find the copy again after a lost answer.
    """
    earlier = find_earlier(actor, manner.key)
    if (replay := replay_of(earlier)) is not None:
        return replay
    checks.check_serial_numbers(serials)
    began = time.monotonic()
    _price_target(actor, serials[0], target_config)
    manner = manner.after(time.monotonic() - began)
    with acting_as(actor):
        rows = [lock_entitlement(actor, serial) for serial in sorted(serials)]
        if manner.key and (replay := replay_of(find_earlier(actor, manner.key))) is not None:
            return replay
        source = rows[0].config
        _refuse_mixed(rows, source_config)
        owner = Tenant.objects.filter(id=rows[0].tenant_id).first() if rows[0].tenant_id else None
        api_user = _check_account(owner, source, target_account)
        refuse_if_in_progress(serial_numbers=sorted(serials))
        target = _find_target(actor, owner, source, target_account, target_config)
        if target is None:
            plan = plan_copy(source, owner, account_id=target_account, then={"transfer": sorted(serials)})
        else:
            more = guard_move(owner, rows, target) if target_config is not None else None
            plan = replace(
                plan_transfer(rows, api_user_id=api_user.id, target_config=target.id, target_account=target_account),
                points_per_day=more,
            )
        outcome = start_operation(actor, plan, manner=manner, earlier=earlier)
    return carry_out(outcome, manner)


def remove_hardware(actor: Actor, *, serials: Sequence[str], manner: Manner = AS_USUAL) -> Outcome:
    """Take hardware serials out of FortiFlex: the only thing there that can be deleted. Problem `state_conflict` for other forms."""
    earlier = find_earlier(actor, manner.key)
    if (replay := replay_of(earlier)) is not None:
        return replay
    checks.check_serial_numbers(serials)
    with acting_as(actor):
        rows = [lock_entitlement(actor, serial) for serial in sorted(serials)]
        first = rows[0]
        if any((row.program_id, row.account_id, row.tenant_id) != _place_of(first) for row in rows):
            raise invalid("/serial_numbers", "Remove serials of one account and one tenant at a time.")
        api_user = checks.reader_of(first.program_id, first.account_id)
        for row in rows:
            product = find_product_type(api_user.api_url, row.config.product_type_id)
            if form_of(product, row.config.product_type_id) != "hardware":
                raise Problem("state_conflict", f"{row.serial_number} is no hardware: stop it instead.")
        refuse_if_in_progress(serial_numbers=sorted(serials))
        plan = Plan(
            kind=Operation.Kind.REMOVE_HARDWARE,
            tenant_id=first.tenant_id,
            api_user_id=api_user.id,
            program_serial=first.program_id,
            account_id=first.account_id,
            config_id=first.config_id,
            serial_numbers=[row.serial_number for row in rows],
            before={row.serial_number: row.status for row in rows},
        )
        outcome = start_operation(actor, plan, manner=manner, earlier=earlier)
    return carry_out(outcome, manner)


def _price_target(actor: Actor, serial: str, target_config: int | None) -> None:
    """What the size that was chosen costs, where a limit of points of the owner decides. Before anything is locked."""
    if target_config is None:
        return  # the same size
    with acting_as(actor):
        row = checks.find_entitlement(actor, serial)
        owner = Tenant.objects.filter(id=row.tenant_id).first() if row.tenant_id else None
        configs = list(Config.objects.visible_to(actor).filter(id__in=[row.config_id, target_config]))
    learn_prices(owner, *configs)


def _place_of(row: Entitlement) -> tuple[object, object, object]:
    return (row.program_id, row.account_id, row.tenant_id)


def _refuse_mixed(rows: Sequence[Entitlement], source_config: int | None) -> None:
    first = rows[0]
    if any((row.config_id, row.tenant_id) != (first.config_id, first.tenant_id) for row in rows):
        raise invalid("/serial_numbers", "Transfer entitlements of one configuration and one tenant at a time.")
    if source_config is not None and source_config != first.config_id:
        raise invalid("/source_config", "These entitlements are not under that configuration.")
    if any(row.status == "EXPIRED" for row in rows):
        raise Problem("state_conflict", "An expired entitlement can't be transferred.")


def _check_account(owner: Tenant | None, source: Config, target_account: int) -> ApiUser:
    if target_account == source.account_id:
        raise invalid("/account_id", "They are in this account already.")
    api_user = checks.reader_of(source.program_id, source.account_id)
    for reached in accounts_for(owner):
        if (reached.program_serial, reached.account_id) == (source.program_id, target_account):
            if reached.api_user.id != api_user.id:
                raise Problem("not_available", "Another API user reads that account, so nobody can transfer into it.")
            return api_user
    raise invalid("/account_id", "There is no such account.")


def _find_target(
    actor: Actor, owner: Tenant | None, source: Config, target_account: int, target_config: int | None
) -> Config | None:
    if target_config is None:
        with acting_as(JOURNAL):
            return find_twin(owner, source, source.parameters, account_id=target_account)
    target = checks.usable_config(actor, target_config, tenant=owner)
    if (target.program_id, target.account_id) != (source.program_id, target_account):
        raise invalid("/config", "This configuration lies in another account or program.")
    if target.product_type_id != source.product_type_id:
        raise invalid("/config", "This configuration is for another product than the entitlement.")
    return target
