"""The story, step by step: enter, mirror, assign, read points, provision, lose an answer and find it, issue, export, verify."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from billing.demo.gateway_process import DemoFailed, GatewayProcess
from billing.demo.history import API_USERS, Past
from billing.demo.story import WINDOW_DAYS, Story
from gateway.fortiflex.days import month_bounds
from gateway.sandbox import SandboxServer

TENANTS = {"acme": ("Acme GmbH", "0.0500"), "globex": ("Globex Corp", "0.0450"), "initech": ("Initech Ltd", "0.0500")}
WIDE = {"per_minute": 100_000, "per_hour": 1_000_000, "errors_per_hour": 1_000}
SCOPES = [
    "entitlements:write",
    "configs:read",
    "operations:read",
    "consumption:read",
    "statements:read",
    "programs:read",
]
Step = Callable[[str], None]


@dataclass(slots=True)
class Told:
    """What the report shows."""

    operator_token: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    created: dict[str, Any] = field(default_factory=dict)
    lost: dict[str, Any] = field(default_factory=dict)
    statements: list[dict[str, Any]] = field(default_factory=list)
    points: dict[str, dict[str, str]] = field(default_factory=dict)
    unassigned_points: str = ""
    proofs: list[str] = field(default_factory=list)
    exports: list[Path] = field(default_factory=list)


def play_story(gateway: GatewayProcess, server: SandboxServer, story: Story, past: Past, out: Path, step: Step) -> Told:
    """Everything over HTTP and commands, as an MSP would do it. DemoFailed names the step that did not work."""
    told = Told()
    step("Operator token, tenants, API users")
    told.operator_token = gateway.run("issue_token", "demo", "--operator").strip()
    _enter(gateway, server, told)
    step("Mirror of programs, configs and entitlements")
    gateway.run("sync")
    step("Assignments, with a hand-over in mid-month")
    _assign(gateway, story, past, told)
    step("Points of every day since then")
    printed = gateway.run("pull_points", "--window-days", str(WINDOW_DAYS))
    told.proofs += [line for line in printed.splitlines() if line.startswith(("conservation", "completeness"))]
    step("Provisioning with a tenant's own token")
    told.created = _create(gateway, past, told, "new branch", expect=201)
    step("A create whose answer is lost, and found again")
    server.sandbox.plan_fault("entitlements/vm/create", "cut", when="after")
    told.lost = _create(gateway, past, told, "the one whose answer was lost", expect=202)
    gateway.run("reconcile")
    told.lost = gateway.call("GET", f"operations/{told.lost['operation']['id']}", told.tokens["acme"])
    for month in story.months:
        step(f"Statements of {month}")
        told.proofs += [
            line
            for line in gateway.run("issue_statements", "--month", month).splitlines()
            if line.startswith("conservation")
        ]
        folder = out / month
        gateway.run("export_statements", "--month", month, "--format", "csv", "--out", str(folder))
        told.exports.append(folder)
    step("Every hash, chain and sum, recomputed")
    told.proofs.append(gateway.run("verify_statements").strip())
    _read_results(gateway, story, told)
    return told


def _enter(gateway: GatewayProcess, server: SandboxServer, told: Told) -> None:
    token = told.operator_token
    for slug, (name, _) in TENANTS.items():
        profile = {
            "name": name,
            "address": ["1 Demo Street"],
            "tax": {"category": "S", "rate": "19.00"},
            "payment_days": 14,
        }
        body = {
            "slug": slug,
            "name": name,
            "currency": "EUR",
            "customer_code": f"C-{slug.upper()}",
            "billing_profile": profile,
        }
        gateway.call("POST", "tenants", token, body, expect=201)
        made = gateway.call("POST", f"tenants/{slug}/tokens", token, {"name": "demo", "scopes": SCOPES}, expect=201)
        told.tokens[slug] = made["token"]
    for name, tenant in (("msp-main", None), ("initech-own", "initech")):
        username, password = API_USERS[name]
        entered: dict[str, Any] = {"name": name, "username": username, "password": password, "tenant": tenant, **WIDE}
        gateway.call(
            "POST", "api-users", token, entered | {"api_url": server.api_url, "auth_url": server.auth_url}, expect=201
        )


def _assign(gateway: GatewayProcess, story: Story, past: Past, told: Told) -> None:
    token, begins = told.operator_token, str(story.begins)
    for slug, serials in past.owners.items():
        gateway.call("POST", "assignments", token, {"serials": serials, "tenant": slug, "from_day": begins}, expect=201)
    handed = {"serials": [past.handed_over], "tenant": "globex", "from_day": str(story.handed_over_on)}
    gateway.call("POST", "assignments", token, handed, expect=201)
    gateway.call("POST", f"configs/{past.config_2}/offers", token, {"tenant": "acme"}, expect=201)
    for slug, (_, price) in TENANTS.items():
        rate = {"tenant": slug, "currency": "EUR", "price_per_point": price, "from_day": begins}
        gateway.call("POST", "price-plans", token, rate, expect=201)


def _create(gateway: GatewayProcess, past: Past, told: Told, description: str, *, expect: int) -> dict[str, Any]:
    body = {"config": past.config_2, "count": 1, "description": description}
    made: dict[str, Any] = gateway.call("POST", "entitlements", told.tokens["acme"], body, expect=expect)
    return made


def _read_results(gateway: GatewayProcess, story: Story, told: Told) -> None:
    first, last = month_bounds(story.first_month)[0], month_bounds(story.second_month)[1]
    query = f"consumption?from={first}&to={last}&group_by=month"
    for slug, token in told.tokens.items():
        rows = gateway.call("GET", query, token)["results"]
        told.points[slug] = {row["month"]: row["points"] for row in rows}
    told.statements = gateway.call("GET", "statements", told.operator_token)["results"]
    if told.lost["state"] != "succeeded":
        raise DemoFailed(f"The lost create was not found: {told.lost}")
    if len(told.statements) != len(TENANTS) * len(story.months):
        raise DemoFailed(f"{len(told.statements)} statements were issued, not {len(TENANTS) * len(story.months)}.")
