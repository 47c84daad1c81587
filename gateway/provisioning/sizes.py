"""The size of a config: its parameters put together, compared, and priced before they are asked for."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from gateway.catalogue import READ_ONLY_IDS
from gateway.models import Config
from gateway.provisioning import checks
from gateway.provisioning.estimates import learn_prices, price_size
from gateway.provisioning.guards import needs_points
from tenants.actors import Actor
from tenants.context import acting_as
from tenants.models import Tenant

Parameters = Sequence[Mapping[str, Any]]


def parameters_differ(config: Config, values: Parameters) -> bool:
    """Whether a full parameter set is another one than the config's; what the product reports itself does not count."""

    def as_set(items: Parameters) -> set[tuple[int, str]]:
        return {(int(item["id"]), str(item["value"])) for item in items if int(item["id"]) not in READ_ONLY_IDS}

    return as_set(config.parameters) != as_set(values)


def merge_parameters(config: Config, given: Parameters) -> list[dict[str, Any]]:
    """The config's full parameter set with the given ones in place of those with the same id: FortiFlex wants all of them."""
    named = {int(item["id"]) for item in given}
    kept = [
        {"id": int(item["id"]), "value": str(item["value"])}
        for item in config.parameters
        if int(item["id"]) not in READ_ONLY_IDS
    ]
    return [item for item in kept if item["id"] not in named] + settable(given)


def merge_changed(config: Config, given: Parameters) -> list[dict[str, Any]] | None:
    """The full set with the given ones; None = it is so already."""
    merged = merge_parameters(config, given)
    return merged if parameters_differ(config, merged) else None


def find_twin(
    owner: Tenant | None, config: Config, wanted: Parameters, *, account_id: int | None = None
) -> Config | None:
    """A config of `owner` that is this size already, such as the one that a first try made. Inside a context that sees it."""
    same = Config.objects.filter(
        tenant=owner,
        program_id=config.program_id,
        account_id=config.account_id if account_id is None else account_id,
        product_type_id=config.product_type_id,
        status="ACTIVE",
        vanished_at__isnull=True,
    )
    return next((twin for twin in same.order_by("id") if not parameters_differ(twin, wanted)), None)


def settable(parameters: Parameters) -> list[dict[str, Any]]:
    return [{"id": int(item["id"]), "value": str(item["value"])} for item in parameters]


def price_resize(
    actor: Actor, config_id: int, parameters: Parameters | None
) -> tuple[Parameters | None, Decimal | None]:
    """The full set that a config would get and what it would cost, where a limit of points of its owner decides. Before anything is locked.

    They are checked already: a wrong price would cost one of FortiFlex's errors.
    """
    with acting_as(actor):
        row = checks.find_config(actor, config_id)
        owner = Tenant.objects.filter(id=row.tenant_id).first() if row.tenant_id else None
    theirs = actor.sees_every_tenant or row.tenant_id in actor.tenant_ids
    if parameters is None or not needs_points(owner) or not theirs or row.vanished_at is not None:
        return None, None
    if (values := merge_changed(row, parameters)) is None:
        return None, None
    learn_prices(owner, row)
    return values, price_size(row, values, tenant=owner)
