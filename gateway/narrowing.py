"""What a token can be narrowed to: the answer to tenants.token_bounds, which knows neither entitlements nor configs."""

from collections.abc import Sequence
from typing import Any

from gateway.models import Config, Entitlement
from tenants.actors import for_tenants
from tenants.context import acting_as
from tenants.models import Tenant


def find_names(tenant: Tenant, kind: str, names: Sequence[Any]) -> list[Any]:
    """Those of `names` (serials, or config ids) that `tenant` sees today."""
    seen = for_tenants([tenant.id], name="narrowing")
    with acting_as(seen):
        if kind == "entitlement":
            rows = Entitlement.objects.visible_to(seen).filter(serial_number__in=names)
            return list(rows.values_list("serial_number", flat=True))
        return list(Config.objects.visible_to(seen).filter(id__in=names).values_list("id", flat=True))
