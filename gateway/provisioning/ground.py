"""What a creation stands on: config, program, account, API user, product. Asked for in one round trip, because every creation begins here."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from gateway.catalogue import find_product_type
from gateway.fortiflex.records import ProductType
from gateway.models import ApiUser, Config, Program
from gateway.operations import JOURNAL
from gateway.provisioning.checks import UNKNOWN_CONFIG, refuse_unusable
from gateway.reach import may_use_account
from tenants.actors import Actor
from tenants.context import Question, ask_together
from tenants.models import Tenant
from tenants.problems import Problem, invalid
from tenants.rows import columns_of, instance_of, width_of

# As the caller: what its role may see, and the same once more in words (see Config.objects.visible_to).
SEEN = """
    SELECT EXISTS (SELECT 1 FROM gateway_configoffer offer WHERE offer.config_id = config.id AND offer.tenant_id = %s), {config}
    FROM gateway_config config WHERE config.id = %s {visible}
"""
MINE = """ AND (config.tenant_id = ANY(%s::uuid[])
        OR EXISTS (SELECT 1 FROM gateway_configoffer o WHERE o.config_id = config.id AND o.tenant_id = ANY(%s::uuid[]))
        OR EXISTS (SELECT 1 FROM gateway_entitlement e WHERE e.config_id = config.id AND e.tenant_id = ANY(%s::uuid[])))
"""
NAMED = " AND config.id = ANY(%s::bigint[])"
# As the gateway: a tenant's role can't read API users and programs.
UNDER = """
    SELECT EXISTS (SELECT 1 FROM gateway_apiuser WHERE tenant_id = %s), catalogue.fetched_at, place.id IS NOT NULL, {program}, {api_user}
    FROM gateway_config config
    JOIN gateway_program program ON program.serial_number = config.program_id
    LEFT JOIN gateway_programaccount place ON place.program_id = config.program_id AND place.account_id = config.account_id
    LEFT JOIN gateway_apiuser api_user ON api_user.id = place.api_user_id
    LEFT JOIN gateway_productcatalogue catalogue ON catalogue.api_url = api_user.api_url
    WHERE config.id = %s
"""


@dataclass(frozen=True, slots=True)
class Ground:
    """`product` None = the catalogue does not know it."""

    config: Config
    program: Program
    api_user: ApiUser
    product: ProductType | None


def find_ground(actor: Actor, config_id: int, *, tenant: Tenant | None) -> Ground:
    """Problem `invalid` or `not_available` where `tenant` may not put entitlements under this config: a foreign one answers as an
    unknown one; `upstream_unavailable` where no enabled API user reaches its account. Stands as `actor` by itself.
    """
    tenant_id = tenant.id if tenant else None
    seen, under = ask_together(
        _seen_by(actor, config_id, tenant_id), Question(JOURNAL, _under(), [tenant_id, config_id]), by_key=True
    )
    if not seen or not under:
        raise invalid("/config", UNKNOWN_CONFIG)
    offered, *columns = seen[0]
    config = instance_of(Config, columns)
    serves_alone, fetched_at, is_reached, *columns = under[0]
    width = width_of(Program)
    program, api_user = instance_of(Program, columns[:width]), None
    if is_reached:
        api_user = instance_of(ApiUser, columns[width:])
    refuse_unusable(
        actor,
        config,
        tenant=tenant,
        offered=offered,
        reached=may_use_account(tenant, api_user, config.program_id, config.account_id, serves_alone=serves_alone),
    )
    if api_user is None or not api_user.enabled:
        raise Problem("upstream_unavailable", "No enabled API user reaches this account; ask your operator.")
    product = find_product_type(api_user.api_url, config.product_type_id, fetched_at=fetched_at)
    return Ground(config, program, api_user, product)


def _seen_by(actor: Actor, config_id: int, tenant_id: Any) -> Question:
    visible, values = "", [tenant_id, config_id]
    if not actor.sees_every_tenant:
        visible, values = MINE, [*values, *[list(actor.tenant_ids)] * 3]
    if actor.reach is not None:
        visible, values = visible + NAMED, [*values, sorted(actor.reach.configs)]
    return Question(actor, _seen(visible), values)


@cache
def _seen(visible: str) -> str:
    return SEEN.format(config=columns_of(Config, "config"), visible=visible)


@cache
def _under() -> str:
    return UNDER.format(program=columns_of(Program, "program"), api_user=columns_of(ApiUser, "api_user"))
