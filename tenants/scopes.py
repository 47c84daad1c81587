"""The closed list of scopes. `write` includes `read`; `entitlements:switch` is stop and reactivate alone."""

from collections.abc import Iterable

TENANT_SCOPES = frozenset(
    {
        "programs:read",
        "configs:read",
        "configs:write",
        "entitlements:read",
        "entitlements:write",
        "entitlements:switch",
        "consumption:read",
        "estimates:read",
        "operations:read",
        "statements:read",
        "exports:read",
        "budgets:read",
        "budgets:write",
        "schedules:write",
        "webhooks:write",
        "events:read",
        "audit:read",
        "tokens:write",
    }
)
OPERATOR_SCOPES = TENANT_SCOPES | {
    "tenants:write",
    "api-users:write",
    "assignments:write",
    "prices:write",
    "statements:write",
    "reconciliation:read",
    "metrics:read",
}


def expand_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """What a token with `scopes` may do: every `x:write` brings `x:read`, and `entitlements:write` brings `entitlements:switch`."""
    expanded = set(scopes)
    for scope in scopes:
        area, _, right = scope.partition(":")
        if right == "write":
            expanded.add(f"{area}:read")
        if scope == "entitlements:write":
            expanded.add("entitlements:switch")
    return frozenset(expanded)


def unknown_scopes(scopes: Iterable[str], *, operator: bool) -> list[str]:
    """The names among `scopes` that a token of this kind can't hold, sorted."""
    return sorted(set(scopes) - (OPERATOR_SCOPES if operator else TENANT_SCOPES))
