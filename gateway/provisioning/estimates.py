"""Points per day before they are spent: tools/calc, always for one unit (whether it multiplies by count is unknown, reference 2.4)."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from gateway.catalogue import READ_ONLY_IDS, as_parameters, check_parameters, find_product_type
from gateway.fortiflex.errors import FortiFlexError, NotDone, Rejected
from gateway.gate import WaitingRoomFull, seconds_without_errors, waiting_room
from gateway.models import ApiUser, Config, Operation
from gateway.operations import CREATIONS, JOURNAL
from gateway.provisioning.failures import BUSY, as_problem, explain_failure
from gateway.provisioning.guards import UNPRICED, needs_points, running_of
from gateway.provisioning.standing import TOO_MANY_ERRORS
from gateway.reach import accounts_for
from gateway.upstream import client_for
from tenants import clock
from tenants.actors import Actor
from tenants.context import acting_as
from tenants.leases import drop_lease, take_lease
from tenants.models import Tenant
from tenants.problems import Problem, invalid

REFUSED_FOR = timedelta(hours=1)  # a refused price is not asked for again: each costs one of nine errors an hour
PRICE_LEASE = "price "
LONGEST_ASKING = 30.0  # a process that dies while it asks keeps the others from it so long
CALC_WAIT = 5.0  # in the queue; a creation does not wait longer for knowing its price


def points_of_config(
    config: Config, *, tenant: Tenant | None = None, ask: bool = True, wait_seconds: float = CALC_WAIT
) -> Decimal | None:
    """Points per day of one entitlement of `config`, asked for once and kept on it. None if FortiFlex can't say: no write waits for it.

    `ask` False = only what is known already. `tenant` = for whom: a refusal is one of its errors, and where it has none left nobody is asked.
    Of all processes one asks, and a refusal is remembered for all of them.
    """
    if config.points_per_day is not None or not ask:
        return config.points_per_day
    api_user = next((found for found in _readers(None, config.program_id) if found[0] == config.account_id), None)
    if api_user is None or _is_refused(config):
        return None
    began = time.monotonic()
    with _alone(config, seconds=min(CALC_WAIT, wait_seconds)) as mine:
        if not mine:
            return None
        with acting_as(JOURNAL):
            found = Config.objects.only("points_per_day", "price_refused_at", "parameters").get(id=config.id)
            limits = tenant.limits if tenant else {}
            wait = seconds_without_errors(api_user[1].id, tenant.id if tenant else None, limits)
        same = found.parameters == config.parameters
        if same and found.points_per_day is not None:
            return found.points_per_day
        if wait or (same and _is_refused(found)):
            return None
        return _ask_for(config, api_user[1], tenant, wait_seconds=max(0.1, wait_seconds - time.monotonic() + began))


def _is_refused(config: Config) -> bool:
    return config.price_refused_at is not None and config.price_refused_at > clock.now() - REFUSED_FOR


@contextmanager
def _alone(config: Config, *, seconds: float) -> Iterator[bool]:
    """Whether nobody else asks for the price of `config`, after having waited for them so long."""
    name, give_up_at = f"{PRICE_LEASE}{config.id}", time.monotonic() + seconds
    while (holder := take_lease(name, seconds=LONGEST_ASKING)) is None and time.monotonic() < give_up_at:
        time.sleep(0.05)
    try:
        yield holder is not None
    finally:
        if holder is not None:
            drop_lease(name, holder)


def _ask_for(config: Config, api_user: ApiUser, tenant: Tenant | None, *, wait_seconds: float) -> Decimal | None:
    settable = [item for item in config.parameters if int(item["id"]) not in READ_ONLY_IDS - {47}]
    learnt: dict[str, Any]
    try:
        points = _ask(
            api_user,
            config.program_id,
            config.product_type_id,
            settable,
            tenant_id=tenant.id if tenant else None,
            wait_seconds=wait_seconds,
        )
        learnt = {"points_per_day": points, "price_refused_at": None}
    except Rejected:
        points, learnt = None, {"price_refused_at": clock.now()}
    except (WaitingRoomFull, FortiFlexError):
        return None
    with acting_as(JOURNAL):
        # Only if it is still the size that was asked about.
        Config.objects.filter(id=config.id, parameters=config.parameters).update(**learnt)
    return points


def price_size(config: Config, wanted: Sequence[dict[str, Any]], *, tenant: Tenant | None) -> Decimal | None:
    """What an entitlement like those of `config` would cost a day with the parameters `wanted`; None where FortiFlex can't say."""
    found = next((reached for reached in _readers(None, config.program_id) if reached[0] == config.account_id), None)
    if found is None:
        return None
    try:
        tenant_id = tenant.id if tenant else None
        return _ask(found[1], config.program_id, config.product_type_id, wanted, tenant_id=tenant_id)
    except (FortiFlexError, WaitingRoomFull):
        return None


def learn_prices(tenant: Tenant | None, *configs: Config, wait_seconds: float = CALC_WAIT) -> None:
    """What `configs`, and those under which `tenant` runs something, cost a day, where a limit of points decides and nobody has asked yet.

    As many as can be had in `wait_seconds`: where one is still unknown then, the guard refuses, and the next request goes on.
    """
    if not needs_points(tenant) or tenant is None:
        return
    ends_at = time.monotonic() + wait_seconds
    with acting_as(JOURNAL):
        under = running_of(tenant).filter(UNPRICED).order_by().values("config").distinct()
        unknown = [*configs, *Config.objects.filter(id__in=under).order_by("id")]
    for config in unknown:
        left = ends_at - time.monotonic()
        points_of_config(config, tenant=tenant, ask=left > 0, wait_seconds=left)


def price_creation(operation: Operation) -> None:
    """What a creation that was journaled without asking will cost a day, before it is sent."""
    if operation.points_per_day is not None or operation.kind not in CREATIONS or operation.config_id is None:
        return
    with acting_as(JOURNAL):
        config = Config.objects.get(id=operation.config_id)
    points = points_of_config(config, tenant=operation.tenant)
    if points is not None:
        count = len(operation.serial_numbers) or int(operation.intent.get("count", 1))
        with acting_as(JOURNAL):
            Operation.objects.filter(id=operation.id).update(points_per_day=points * count)


def estimate_points(
    actor: Actor, *, tenant: Tenant | None, program: str, product_type_id: int, parameters: Sequence[dict[str, Any]]
) -> Decimal:
    """Points per day of one unit. Problem `invalid` for a program that isn't the tenant's or parameters that can't be."""
    readers = _readers(tenant, program)
    if not readers:
        raise invalid("/program", "There is no such program.")
    api_user = readers[0][1]
    product = find_product_type(api_user.api_url, product_type_id)
    check_parameters(product, as_parameters(parameters), estimate=True)
    with acting_as(JOURNAL):
        wait = seconds_without_errors(api_user.id, tenant.id if tenant else None, tenant.limits if tenant else {})
    if wait:
        raise Problem("rate_limited", TOO_MANY_ERRORS.format(seconds=wait), headers={"Retry-After": str(wait)})
    try:
        return _ask(api_user, program, product_type_id, parameters, tenant_id=tenant.id if tenant else None)
    except WaitingRoomFull as error:
        raise Problem("upstream_busy", BUSY, headers={"Retry-After": "5"}) from error
    except NotDone as error:
        raise as_problem(asdict(explain_failure(error, product=product)), actor) from error
    except FortiFlexError as error:
        raise Problem("upstream_unavailable", "FortiFlex gave no readable answer. Try again.") from error


def _readers(tenant: Tenant | None, program: str) -> list[tuple[int, ApiUser]]:
    return [(found.account_id, found.api_user) for found in accounts_for(tenant) if found.program_serial == program]


def _ask(
    api_user: ApiUser,
    program: str,
    product_type_id: int,
    parameters: Sequence[dict[str, Any]],
    *,
    tenant_id: UUID | None = None,
    wait_seconds: float = CALC_WAIT,
) -> Decimal:
    """A read, so it can be given up without harm: it gets no longer than its caller has."""
    wait = min(CALC_WAIT, wait_seconds)
    client = client_for(
        api_user, interactive=True, tenant_id=tenant_id, wait_seconds=wait, call_seconds=max(1.0, 2 * wait)
    )
    with waiting_room(tenant_id):
        answer = client.calculate_points(
            program_serial=program, product_type_id=product_type_id, parameters=as_parameters(parameters)
        )
    return answer.value.current
