"""Who gets what from every route and method: the one table. A route or method without a line fails the suite.

Each line: method, route, path, body, then the answers to WHO in that order. 403s = insufficient_scope, 403n = token_narrowed,
403o = operator_only. Paths and bodies are filled from the scene's ids, which are acme's: `owner` is acme, the others are not, or less.
"""

from dataclasses import dataclass
from typing import Any

from tests.worlds import API_URL, AUTH_URL

WHO = (
    "nobody",
    "wrong_scope",  # acme's, with a scope that this is not about
    "read_only",  # acme's, with every :read scope
    "narrowed",  # acme's, with every scope, narrowed to another serial
    "other",  # globex
    "past_owner",  # initech, who had the serial before
    "suspended",  # hooli, suspended
    "ungranted",  # a person with every right on globex alone
    "granted",  # a person with every right on acme
    "operator",
    "owner",
)
CODES = {
    "403s": "insufficient_scope",
    "403n": "token_narrowed",
    "403o": "operator_only",
    "400": "invalid",
    "401": "not_authenticated",
    "404": "not_found",
    "409": "state_conflict",
    "409a": "not_available",
}
MAY_SEE_ACME = frozenset({"read_only", "wrong_scope", "granted", "operator", "owner"})
NEW_TENANT = {"slug": "vandelay", "name": "Vandelay", "currency": "EUR"}
NEW_USER = {"username": "user", "password": "password", "api_url": API_URL, "auth_url": AUTH_URL}
NEW_PROGRAM = {"serial_number": "ELAVMS0000009999", "account_id": 424242, "api_user": "main"}
NEW_CONFIG = {
    "program": "{program}",
    "name": "fresh",
    "product_type_id": 1,
    "parameters": [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}],
    "tenant": "acme",
}
ESTIMATE = {key: NEW_CONFIG[key] for key in ("program", "product_type_id", "parameters", "tenant")}
DAYS = "from=2026-08-01&to=2026-08-31"
NEW_RATE = {"tenant": "acme", "currency": "EUR", "price_per_point": "0.07", "from_day": "2026-10-01"}


@dataclass(frozen=True, slots=True)
class Rule:
    method: str
    route: str
    path: str
    body: Any
    answers: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def rule(method: str, route: str, answers: str, *, path: str | None = None, body: Any = None) -> Rule:
    given = tuple(answers.split())
    assert len(given) == len(WHO), (method, route)
    return Rule(method, route, path or route, body, given)


#                                                          nobody wrong read narrow other past susp ungr grant oper owner
OPERATORS_READ = "401 403o 403o 403o 403o 403o 401 403o 403o 200 403o"
OPERATORS_MAKE = "401 403o 403o 403o 403o 403o 401 403o 403o 201 403o"
OWN_LIST = "401 403s 200 403n 200 200 401 200 200 200 200"
ONE = "401 403s 200 404 404 404 401 404 200 200 200"
CHANGE_ONE = "401 403s 403s 404 404 404 401 404 200 200 200"

RULES = (
    rule("GET", "metrics", OPERATORS_READ, path="/metrics"),
    rule("GET", "whoami", "401 200 200 200 200 200 401 200 200 200 200"),
    rule("GET", "tenants", "401 200 200 403n 200 200 401 200 200 200 200"),
    rule("POST", "tenants", OPERATORS_MAKE, body=NEW_TENANT),
    rule("GET", "tenants/<slug:slug>", "401 200 200 403n 404 404 401 404 200 200 200", path="tenants/acme"),
    rule("PATCH", "tenants/<slug:slug>", OPERATORS_READ, path="tenants/acme", body={"name": "New"}),
    rule(
        "GET", "tenants/<slug:slug>/tokens", "401 403s 403s 200 404 404 401 404 200 200 200", path="tenants/acme/tokens"
    ),
    rule(
        "POST",
        "tenants/<slug:slug>/tokens",
        "401 403s 403s 201 404 404 401 404 201 201 201",
        path="tenants/acme/tokens",
        body={"name": "x", "scopes": ["entitlements:read"]},
    ),
    rule(
        "DELETE",
        "tenants/<slug:slug>/tokens",
        "401 403s 403s 403n 404 404 401 404 200 200 200",
        path="tenants/acme/tokens",
    ),
    rule(
        "GET",
        "tenants/<slug:slug>/tokens/<uuid:token_id>",
        "401 403s 403s 404 404 404 401 404 200 200 200",
        path="tenants/acme/tokens/{token}",
    ),
    rule(
        "DELETE",
        "tenants/<slug:slug>/tokens/<uuid:token_id>",
        "401 403s 403s 404 404 404 401 404 204 204 204",
        path="tenants/acme/tokens/{token}",
    ),
    rule(
        "POST",
        "tenants/<slug:slug>/tokens/<uuid:token_id>/rotate",
        "401 403s 403s 404 404 404 401 404 201 201 201",
        path="tenants/acme/tokens/{token}/rotate",
        body={},
    ),
    rule("GET", "events", OWN_LIST, path="events?tenant=acme"),
    rule("GET", "event-types", OWN_LIST),
    rule("GET", "audit", OWN_LIST),
    rule("GET", "audit/export", OWN_LIST),
    rule("GET", "api-users", OPERATORS_READ),
    rule("POST", "api-users", OPERATORS_MAKE, body=NEW_USER | {"name": "second"}),
    rule("GET", "api-users/<str:name>", OPERATORS_READ, path="api-users/main"),
    rule("PATCH", "api-users/<str:name>", OPERATORS_READ, path="api-users/main", body={"enabled": False}),
    rule("GET", "products", OWN_LIST),
    rule("POST", "estimates", "401 403s 200 403n 400 400 401 400 200 200 200", body=ESTIMATE),
    rule("GET", "programs", OWN_LIST),
    rule("GET", "programs/<str:serial>", OWN_LIST, path="programs/{program}"),
    rule("POST", "programs", OPERATORS_MAKE, body=NEW_PROGRAM),
    rule("GET", "programs/<str:serial>/accounts", OPERATORS_READ, path="programs/{program}/accounts"),
    rule(
        "POST",
        "programs/<str:serial>/accounts",
        OPERATORS_MAKE,
        path="programs/{program}/accounts",
        body={"account_id": 424242, "api_user": "main"},
    ),
    rule("GET", "configs", "401 403s 200 200 200 200 401 200 200 200 200"),
    rule("POST", "configs", "401 403s 403s 403n 400 400 401 400 201 201 201", body=NEW_CONFIG),
    rule("GET", "configs/<int:config_id>", ONE, path="configs/{config}"),
    rule("PATCH", "configs/<int:config_id>", CHANGE_ONE, path="configs/{config}", body={"name": "renamed"}),
    rule("POST", "configs/<int:config_id>/enable", CHANGE_ONE, path="configs/{config}/enable"),
    rule("POST", "configs/<int:config_id>/disable", CHANGE_ONE, path="configs/{config}/disable"),
    rule("GET", "configs/<int:config_id>/offers", OPERATORS_READ, path="configs/{catalogue}/offers"),
    rule(
        "POST",
        "configs/<int:config_id>/offers",
        OPERATORS_MAKE,
        path="configs/{catalogue}/offers",
        body={"tenant": "acme"},
    ),
    rule(
        "DELETE",
        "configs/<int:config_id>/offers/<slug:slug>",
        OPERATORS_READ.replace("200", "404"),  # none was made
        path="configs/{catalogue}/offers/acme",
    ),
    rule("GET", "entitlements", "401 403s 200 200 200 200 401 200 200 200 200"),
    rule(
        "POST",
        "entitlements",
        "401 403s 403s 400 400 400 401 400 201 201 201",
        body={"config": "{config}", "count": 1, "tenant": "acme"},
    ),
    rule(
        "POST",
        "entitlements/next-token",
        "401 403s 403s 409a 409a 409a 401 409a 200 200 200",  # nothing there: the same for a config that never was
        body={"config": "{config}"},
    ),
    rule("GET", "entitlements/<str:serial>", ONE, path="entitlements/{serial}"),
    rule(
        "PATCH", "entitlements/<str:serial>", CHANGE_ONE, path="entitlements/{serial}", body={"description": "new text"}
    ),
    rule("POST", "entitlements/<str:serial>/stop", CHANGE_ONE, path="entitlements/{serial}/stop"),
    rule(
        "POST",
        "entitlements/<str:serial>/reactivate",
        "401 403s 403s 404 404 404 401 404 409 409 409",  # it runs
        path="entitlements/{serial}/reactivate",
    ),
    rule("POST", "entitlements/<str:serial>/token", CHANGE_ONE, path="entitlements/{serial}/token"),
    rule(
        "POST",
        "entitlements/<str:serial>/transfer",
        "401 403s 403s 403n 404 404 401 404 400 400 400",  # it is in that account already
        path="entitlements/{serial}/transfer",
        body={"account_id": 100001},
    ),
    rule(
        "POST",
        "entitlements/<str:serial>/remove",
        "401 403s 403s 404 404 404 401 404 409 409 409",  # a virtual machine
        path="entitlements/{serial}/remove",
    ),
    rule(
        "GET",
        "entitlements/<str:serial>/consumption",
        "401 403s 200 404 404 200 401 404 200 200 200",
        path="entitlements/{serial}/consumption?" + DAYS,
    ),
    rule(
        "GET",
        "entitlements/<str:serial>/diagnosis",
        "401 403s 200 404 404 200 401 404 200 200 200",  # who owned it once is told of its own days
        path="entitlements/{serial}/diagnosis",
    ),
    rule("GET", "assignments", OPERATORS_READ),
    rule(
        "POST",
        "assignments",
        OPERATORS_MAKE,
        body={"serials": ["{serial}"], "tenant": "globex", "from_day": "2026-09-04"},
    ),
    rule("GET", "assignments/proposals", OPERATORS_READ),
    rule(
        "POST",
        "assignments/import",
        OPERATORS_MAKE,
        body="serial_number,tenant,from_day\n{serial},globex,2026-09-04\n",
    ),
    rule("GET", "assignment-rules", OPERATORS_READ),
    rule("POST", "assignment-rules", OPERATORS_MAKE, body={"name": "new", "tenant": "acme", "description": "x*"}),
    rule("POST", "assignment-rules/dry-run", OPERATORS_READ),
    rule("POST", "assignment-rules/apply", OPERATORS_READ),
    rule("GET", "assignment-rules/<uuid:rule_id>", OPERATORS_READ, path="assignment-rules/{rule}"),
    rule(
        "PATCH",
        "assignment-rules/<uuid:rule_id>",
        OPERATORS_READ,
        path="assignment-rules/{rule}",
        body={"priority": 7},
    ),
    rule(
        "DELETE",
        "assignment-rules/<uuid:rule_id>",
        OPERATORS_READ.replace("200", "204"),
        path="assignment-rules/{rule}",
    ),
    rule("GET", "operations", "401 403s 200 200 200 200 401 200 200 200 200"),
    rule("GET", "operations/<uuid:operation_id>", ONE, path="operations/{operation}"),
    rule(
        "POST",
        "operations/<uuid:operation_id>/cancel",
        "401 403s 403s 404 404 404 401 404 200 200 200",
        path="operations/{planned}/cancel",
    ),
    rule(
        "POST",
        "operations/<uuid:operation_id>/resolve",
        OPERATORS_READ.replace("200", "409"),  # it is known
        path="operations/{operation}/resolve",
        body={"done": True, "reason": "looked"},
    ),
    rule("GET", "consumption", OWN_LIST, path="consumption?" + DAYS),
    rule("GET", "price-plans", OPERATORS_READ),
    rule("POST", "price-plans", OPERATORS_MAKE, body=NEW_RATE),
    rule("GET", "statements", OWN_LIST),
    rule("GET", "statements/<str:number>", ONE.replace("404", "403n", 1), path="statements/{number}"),
    rule("GET", "statements/<str:number>/csv", ONE.replace("404", "403n", 1), path="statements/{number}/csv"),
    rule(
        "GET",
        "statements/<str:number>/lines/<uuid:line_id>/evidence",
        ONE.replace("404", "403n", 1),
        path="statements/{number}/lines/{line}/evidence",
    ),
    rule("GET", "statement-runs", OPERATORS_READ),
    rule("POST", "statement-runs", OPERATORS_MAKE, body={"month": "2026-08"}),
)
# Open to everybody by design, and without anybody's data.
OPEN = frozenset({"healthz", "readyz", "api/v1/schema", "api/v1/docs"})
