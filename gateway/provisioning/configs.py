"""Configs: create, change, enable, disable, offer. One edit of a shared config re-prices all under it, so that is the operator's alone."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from django.db.models import Q

from gateway.catalogue import as_parameters, check_parameters, find_product_type
from gateway.models import ApiUser, Config, Operation
from gateway.operations import CREATIONS, JOURNAL, OPEN, Plan, refuse_if_in_progress
from gateway.provisioning import checks
from gateway.provisioning.estimates import CALC_WAIT, points_of_config
from gateway.provisioning.guards import count_under, guard_product, guard_resize
from gateway.provisioning.idempotency import Outcome, carry_out, find_earlier, replay_of, start_operation
from gateway.provisioning.manner import AS_USUAL, Manner
from gateway.provisioning.sharing import MANAGED, MAY_BE_SHARED, is_shared
from gateway.provisioning.sizes import Parameters, merge_changed, merge_parameters, price_resize, settable
from gateway.provisioning.taken_names import refuse_taken_name
from gateway.reach import ReachedAccount, accounts_for
from tenants.actors import Actor
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.problems import Problem, invalid


def create_config(
    actor: Actor,
    *,
    tenant: Tenant | None,
    program: str,
    name: str,
    product_type_id: int,
    parameters: Parameters,
    account_id: int | None = None,
    priced: bool = False,
    manner: Manner = AS_USUAL,
) -> Outcome:
    """A config of `tenant` (None = the operator's catalogue). Problem `invalid` names the field, the parameter too.

    `priced` = who asks is shown what it costs a day, so that is asked too, once, where it is made at once.
    """
    ends_at = time.monotonic() + manner.wait_seconds
    earlier = find_earlier(actor, manner.key)
    if (replay := replay_of(earlier)) is not None:
        return replay
    checks.check_name(name)
    guard_product(tenant, product_type_id)
    place = _place_for(tenant, program, account_id)
    values = settable(parameters)
    check_parameters(find_product_type(place.api_user.api_url, product_type_id), as_parameters(values))
    with acting_as(actor):
        refuse_taken_name(tenant, place, name)
        plan = Plan(
            kind=Operation.Kind.CREATE_CONFIG,
            tenant_id=tenant.id if tenant else None,
            api_user_id=place.api_user.id,
            program_serial=place.program_serial,
            account_id=place.account_id,
            intent={"name": name, "product_type_id": product_type_id, "parameters": values},
        )
        outcome = start_operation(actor, plan, manner=manner, earlier=earlier)
    outcome = carry_out(outcome, manner)
    if priced and outcome.operation.state == Operation.State.SUCCEEDED:
        with acting_as(JOURNAL):
            made = Config.objects.get(id=outcome.operation.config_id or 0)
        left = ends_at - time.monotonic()
        points_of_config(made, tenant=tenant, ask=left > 0, wait_seconds=min(CALC_WAIT, left))
    return outcome


def update_config(
    actor: Actor,
    config_id: int,
    *,
    name: str | None = None,
    parameters: Parameters | None = None,
    then: Mapping[str, Any] = MappingProxyType({}),
    manner: Manner = AS_USUAL,
    unless: Callable[[], None] = lambda: None,
) -> Outcome | None:
    """Rename or resize; `then` is what follows by itself (writes.configs). None = it is so already.

    `unless` raises the Problem of a caller that saw another state; asked with the row locked.
    Problem `config_managed` unless it is the actor's own and nobody else is under it.
    """
    if name is not None:
        checks.check_name(name)
    began = time.monotonic()
    if parameters is not None:
        with acting_as(actor):
            checks.check_changed_parameters(_lock_config(actor, config_id), parameters)
    priced, price = price_resize(actor, config_id, parameters)
    manner = manner.after(time.monotonic() - began)
    with acting_as(actor):
        row = _lock_config(actor, config_id)
        unless()
        api_user = checks.reader_of(row.program_id, row.account_id)
        values = None if parameters is None else merge_changed(row, parameters)
        name = None if name == row.name else name
        if name is None and values is None:
            return None
        owner, more = Tenant.objects.filter(id=row.tenant_id).first() if row.tenant_id else None, None
        if values is not None:
            with acting_as(JOURNAL):
                # Another size than was priced means that it was changed meanwhile: then nobody knows.
                more = guard_resize(
                    owner, row, number=count_under(row, owner), price=price if values == priced else None
                )
        if name is not None:
            refuse_taken_name(owner, ReachedAccount(row.program_id, row.account_id, api_user), name)
        before = {"name": row.name, "parameters": row.parameters}
        intent = {"name": name, "parameters": values, **then}
        plan = replace(
            _plan_change(actor, Operation.Kind.UPDATE_CONFIG, row, api_user, intent, before), points_per_day=more
        )
        outcome = start_operation(actor, plan, manner=manner, earlier=None)
    return carry_out(outcome, manner)


def switch_config(actor: Actor, config_id: int, *, enabled: bool, manner: Manner = AS_USUAL) -> Outcome | None:
    """Enable or disable; entitlements of a disabled config stop consuming points. None = it is so already."""
    wanted = "ACTIVE" if enabled else "DISABLED"
    kind = Operation.Kind.ENABLE_CONFIG if enabled else Operation.Kind.DISABLE_CONFIG
    with acting_as(actor):
        row = _lock_config(actor, config_id)
        if row.status == wanted:
            return None
        api_user = checks.reader_of(row.program_id, row.account_id)
        plan = _plan_change(actor, kind, row, api_user, {}, {"status": row.status})
        outcome = start_operation(actor, plan, manner=manner, earlier=None)
    return carry_out(outcome, manner)


def is_awaited(config: Config) -> bool:
    """Whether something that is asked for and not settled will stand under `config`. Inside a context of the gateway."""
    coming = Q(config_id=config.id, kind__in=CREATIONS) | Q(intent__config_id=config.id)
    return Operation.objects.filter(coming | Q(intent__target_config=config.id), state__in=OPEN).exists()


def plan_copy(
    config: Config,
    owner: Tenant | None,
    *,
    then: Mapping[str, Any],
    parameters: Parameters | None = None,
    account_id: int | None = None,
    serial: str = "",
) -> Plan:
    """A config of `owner` like `config`, in another size or account. `then` is what follows once it exists (see writes.configs)."""
    account_id = config.account_id if account_id is None else account_id
    # A config may be somebody else's: its name is not for this owner to see.
    known = config.tenant_id is None or config.tenant_id == (owner.id if owner else None)
    name = config.name[:140] if known else "resized"
    return Plan(
        kind=Operation.Kind.CREATE_CONFIG,
        tenant_id=owner.id if owner else None,
        api_user_id=checks.reader_of(config.program_id, account_id).id,
        program_serial=config.program_id,
        account_id=account_id,
        intent={
            "name": f"{name} for {serial}" if serial else name,
            "product_type_id": config.product_type_id,
            "parameters": settable(parameters) if parameters is not None else merge_parameters(config, []),
            **then,
        },
    )


def _place_for(tenant: Tenant | None, program: str, account_id: int | None) -> ReachedAccount:
    """Where a new config will lie. Without an account: the program's only one, or the one that registered the program."""
    places = [found for found in accounts_for(tenant) if found.program_serial == program]
    if not places:
        raise invalid("/program", "There is no such program.")
    if account_id is not None:
        chosen = next((found for found in places if found.account_id == account_id), None)
        if chosen is None:
            raise invalid("/account_id", "There is no such account.")
        return chosen
    if len(places) > 1:
        raise invalid("/account_id", "The program has several accounts; name the one that the configuration is for.")
    return places[0]


def _lock_config(actor: Actor, config_id: int) -> Config:
    """The config that a path names, if the actor may change it. Inside `acting_as(actor)`; of two changes at once one is refused."""
    checks.find_config(actor, config_id)
    with acting_as(JOURNAL):
        row = Config.objects.select_for_update().get(id=config_id)
        if not actor.sees_every_tenant and (row.tenant_id not in actor.tenant_ids or is_shared(row)):
            raise Problem("config_managed", MANAGED)
    if row.vanished_at is not None:
        raise Problem("state_conflict", "FortiFlex no longer lists this configuration.")
    refuse_if_in_progress(config_id=config_id)
    return row


def _plan_change(
    actor: Actor,
    kind: Operation.Kind,
    row: Config,
    api_user: ApiUser,
    intent: Mapping[str, Any],
    before: Mapping[str, Any],
) -> Plan:
    """What others come to depend on before it is sent stops it (`standing.why_unsendable`), if its owner alone asked for it."""
    return Plan(
        kind=kind,
        tenant_id=row.tenant_id,
        api_user_id=api_user.id,
        program_serial=row.program_id,
        account_id=row.account_id,
        config_id=row.id,
        intent=intent,
        before={**before, MAY_BE_SHARED: actor.sees_every_tenant},
    )
