"""The demo's report: who, what, points, money, the proof, where the files lie, and what to try next."""

from rich.console import Console
from rich.table import Table

from billing.demo.gateway_process import GatewayProcess
from billing.demo.history import Past
from billing.demo.play import Told
from billing.demo.story import Story
from gateway.sandbox import SandboxServer


def print_report(
    console: Console, gateway: GatewayProcess, server: SandboxServer, story: Story, past: Past, told: Told
) -> None:
    table = Table(
        "customer",
        "month",
        "points",
        "statement",
        "net EUR",
        "total EUR",
        title="What was consumed, and what it comes to",
    )
    by_key = {(row["tenant"], row["period"]["from"][:7]): row for row in told.statements}
    for slug in told.tokens:
        for month in story.months:
            row = by_key[slug, month]
            table.add_row(slug, month, told.points[slug].get(month, "0"), row["number"], row["net"], row["total"])
    console.print(table)
    console.print(f"handed over on {story.handed_over_on}: {past.handed_over} from acme to globex")
    console.print(f"nobody's: {past.unassigned} (made in the portal; its points are unassigned and on no statement)")
    new, cost = told.created["entitlements"][0]["serial_number"], told.created["operation"]["points_per_day"]
    console.print(f"made by acme's token: {new}, {cost} points a day once it is active")
    console.print(
        f"answer lost and found again: {', '.join(told.lost['entitlements'])}, operation {told.lost['id']} {told.lost['state']}"
    )
    for proof in dict.fromkeys(told.proofs):
        console.print(proof, soft_wrap=True)
    for folder in told.exports:
        console.print(f"files: {folder}", soft_wrap=True)
    console.print(f"gateway {gateway.url}  docs {gateway.url}/api/v1/docs  sandbox {server.url}", soft_wrap=True)
    console.print("try, as acme:")
    console.print(
        f"  curl -s {gateway.url}/api/v1/entitlements -H 'Authorization: Bearer {told.tokens['acme']}'",
        soft_wrap=True,
        highlight=False,
    )
    console.print(f"  operator token: {told.operator_token}", soft_wrap=True, highlight=False)
    console.print("(prices of the sandbox are invented, but for FortiGate VM ENT with 2 and 4 vCPU)")
