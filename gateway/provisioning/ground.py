"""What a creation stands on: config, program, account, API user, product. Asked for in one round trip, because every creation begins here;
or remembered, and whether it still stands so is looked at in the step that sends.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from gateway.catalogue import find_product_type
from gateway.fortiflex.records import ProductType
from gateway.models import ApiUser, Config, Program
from gateway.operations import JOURNAL
from gateway.provisioning.checks import UNKNOWN_CONFIG, refuse_unusable
from gateway.reach import may_use_account
from tenants.actors import Actor, ActorKind
from tenants.context import Question, ask_together
from tenants.models import Tenant
from tenants.problems import Problem, invalid
from tenants.rows import Statement, columns_of, copy_of, instance_of, width_of

MOST = 1000
# As the caller: what its role may see, and the same once more in words (see Config.objects.visible_to).
SEEN = """
    SELECT EXISTS (SELECT 1 FROM gateway_configoffer offer WHERE offer.config_id = config.id AND offer.tenant_id = %s), config.xmin::text, {config}
    FROM gateway_config config WHERE config.id = %s {visible}
"""
MINE = """ AND (config.tenant_id = ANY(%s::uuid[])
        OR EXISTS (SELECT 1 FROM gateway_configoffer o WHERE o.config_id = config.id AND o.tenant_id = ANY(%s::uuid[]))
        OR EXISTS (SELECT 1 FROM gateway_entitlement e WHERE e.config_id = config.id AND e.tenant_id = ANY(%s::uuid[])))
"""
NAMED = " AND config.id = ANY(%s::bigint[])"
# As the gateway: a tenant's role can't read API users and programs. The versions tell a row that was written since from one that was not.
ROWS = """
    FROM gateway_config config
    JOIN gateway_program program ON program.serial_number = config.program_id
    LEFT JOIN gateway_programaccount place ON place.program_id = config.program_id AND place.account_id = config.account_id
    LEFT JOIN gateway_apiuser api_user ON api_user.id = place.api_user_id
    LEFT JOIN gateway_productcatalogue catalogue ON catalogue.api_url = api_user.api_url
    WHERE config.id = %s
"""
VERSIONS = "ARRAY[config.xmin::text, program.xmin::text, place.xmin::text, api_user.xmin::text, catalogue.xmin::text]"
HAS_ITS_OWN = "EXISTS (SELECT 1 FROM gateway_apiuser WHERE tenant_id = %s)"
UNDER = (
    f"SELECT {HAS_ITS_OWN}, {VERSIONS}, catalogue.fetched_at, place.id IS NOT NULL, {{program}}, {{api_user}} {ROWS}"
)
UNCHANGED = f"""(
    {HAS_ITS_OWN} = %s
    AND EXISTS (SELECT 1 FROM gateway_configoffer WHERE config_id = %s AND tenant_id = %s) = %s
    AND EXISTS (SELECT 1 {ROWS} AND {VERSIONS} IS NOT DISTINCT FROM %s::text[]))
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Ground:
    """`product` None = the catalogue does not know it. `unchanged` = it was remembered: an expression that the gateway asks, whether everything
    that it was made of still stands as it was read.
    """

    config: Config
    program: Program
    api_user: ApiUser
    product: ProductType | None
    unchanged: Statement | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """What the database said. `offered` = to the tenant; `serves_alone` = some API user is the tenant's; `versions` = of the rows."""

    config: Config
    offered: bool
    program: Program
    api_user: ApiUser | None
    serves_alone: bool
    fetched_at: datetime | None
    versions: Sequence[str | None]


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
    offered, version, *columns = seen[0]
    config = instance_of(Config, columns)
    serves_alone, versions, fetched_at, is_reached, *columns = under[0]
    width = width_of(Program)
    program = instance_of(Program, columns[:width])
    api_user = instance_of(ApiUser, columns[width:]) if is_reached else None
    read = Read(config, offered, program, api_user, serves_alone, fetched_at, versions)
    # Two statements, two moments: what was written between them is not what its version says.
    if versions[0] == version and _is_memorable(actor, tenant):
        _memory.keep((tenant_id, config_id), read)
    return _judge(read, actor, tenant=tenant)


def recall_ground(actor: Actor, config_id: int, *, tenant: Tenant | None) -> Ground | None:
    """What this process read lately, for a tenant's own token; None = ask. Problems as of `find_ground`, of what may have changed since."""
    read = _memory.recall((tenant.id, config_id)) if tenant is not None and _is_memorable(actor, tenant) else None
    if tenant is None or read is None or not (read.offered or read.config.tenant_id == tenant.id):
        return None
    values = [tenant.id, read.serves_alone, config_id, tenant.id, read.offered, config_id, list(read.versions)]
    return replace(_judge(read, actor, tenant=tenant), unchanged=Statement(UNCHANGED, values))


def _judge(read: Read, actor: Actor, *, tenant: Tenant | None) -> Ground:
    config, api_user = copy_of(read.config), read.api_user
    reached = may_use_account(tenant, api_user, config.program_id, config.account_id, serves_alone=read.serves_alone)
    refuse_unusable(actor, config, tenant=tenant, offered=read.offered, reached=reached)
    if api_user is None or not api_user.enabled:
        raise Problem("upstream_unavailable", "No enabled API user reaches this account; ask your operator.")
    product = find_product_type(api_user.api_url, config.product_type_id, fetched_at=read.fetched_at)
    return Ground(config, copy_of(read.program), copy_of(api_user), product)


def _is_memorable(actor: Actor, tenant: Tenant | None) -> bool:
    """Who is a tenant and nothing else: what others see hangs on more than these rows."""
    return actor.kind is ActorKind.TENANT and actor.reach is None and tenant is not None


class _Memory:
    """The newest of what was read, for all threads of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[UUID | None, int], Read] = OrderedDict()

    def keep(self, key: tuple[UUID | None, int], read: Read) -> None:
        with self._lock:
            self._found[key] = read
            self._found.move_to_end(key)
            if len(self._found) > MOST:
                self._found.popitem(last=False)

    def recall(self, key: tuple[UUID | None, int]) -> Read | None:
        with self._lock:
            return self._found.get(key)


_memory = _Memory()


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
