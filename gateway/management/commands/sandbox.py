"""`manage.py sandbox`: a FortiFlex to practise on, on loopback."""

import signal
import threading
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gateway.sandbox import Sandbox, SandboxSettings, serve_sandbox

PASSWORD = "sandbox-password"  # noqa: S105 - there is nothing behind it


class Command(BaseCommand):
    help = (
        "Run a FortiFlex to practise on. Prices are invented but for two public figures; nothing here reaches Fortinet."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8089)
        parser.add_argument("--state", type=Path, metavar="FILE", help="keep the state here between runs")
        parser.add_argument("--latency-ms", type=int, default=0, help="answer each call this much later")
        parser.add_argument(
            "--rate-limits", action="store_true", help="100 calls a minute, 1000 an hour, 10 errors an hour"
        )
        parser.add_argument(
            "--end-date",
            choices=["inclusive", "exclusive"],
            default="inclusive",
            help="whether endDate of points counts",
        )
        parser.add_argument(
            "--nothing-consumed", choices=["empty", "refused"], default="empty", help="an empty list, or HTTP 400"
        )
        parser.add_argument("--window-days", type=int, default=90, help="how far back points are answered")

    def handle(self, *args: Any, **options: Any) -> None:
        settings = SandboxSettings(
            end_day_counts=options["end_date"] == "inclusive",
            nothing_consumed=options["nothing_consumed"],
            window_days=options["window_days"],
            latency_ms=options["latency_ms"],
        )
        if options["rate_limits"]:
            settings.per_minute, settings.per_hour, settings.errors_per_hour = 100, 1000, 10
        state: Path | None = options["state"]
        try:
            if state:
                state.parent.mkdir(parents=True, exist_ok=True)
            sandbox = (
                Sandbox.load(state, settings=settings) if state and state.exists() else build_ready_world(settings)
            )
            server = serve_sandbox(sandbox, options["host"], options["port"])
        except (OSError, ValueError) as error:
            raise CommandError(f"The sandbox can't start: {error}") from error
        self.stdout.write(describe(server.url, server.api_url, server.auth_url, sandbox))
        self.stdout.flush()
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        while not ended.wait(2):
            if state:
                sandbox.save(state)
        server.close()
        if state:
            sandbox.save(state)


def build_ready_world(settings: SandboxSettings) -> Sandbox:
    """One organisation: a root account, two members, a postpaid and a prepaid program, a config, one API user."""
    sandbox, today = Sandbox(settings=settings), datetime.now(UTC)
    start, end = (today - timedelta(days=200)).date(), (today + timedelta(days=500)).date()
    for account_id in (100001, 100002, 100003):
        sandbox.add_account(account_id)
    sandbox.add_program("ELAVMS0000000001", account_id=100001, start=start, end=end)
    sandbox.add_program("ELAVMR0000000001", account_id=100001, start=start, end=end, point_balance=Decimal(50_000))
    sandbox.add_api_user("sandbox", PASSWORD)
    with sandbox.at(today - timedelta(days=30)):
        parameters = [(1, "2"), (2, "ENT")]
        sandbox.create_config(
            program="ELAVMS0000000001", name="fgt-2c-ent", product_type_id=1, parameters=parameters, account_id=100002
        )
    return sandbox


def describe(url: str, api_url: str, auth_url: str, sandbox: Sandbox) -> str:
    user = sandbox.world.api_users[0]
    return (
        f"Sandbox at {url} (prices are invented, but for FortiGate VM ENT with 2 and 4 vCPU)\n"
        f"  API URL   {api_url}\n  token URL {auth_url}\n  API user  {user.username} / {user.password}\n"
        f"  accounts  {', '.join(map(str, sandbox.world.account_ids))}\n"
        f"  programs  {', '.join(program.serial_number for program in sandbox.world.programs)}\n"
        "Try:\n"
        f"  curl -s {auth_url} -H 'Content-Type: application/json' -d "
        f'\'{{"username":"{user.username}","password":"{user.password}","client_id":"flexvm","grant_type":"password"}}\'\n'
        f"  curl -s {api_url}/programs/list -H 'Authorization: Bearer TOKEN' -d '{{}}'\n"
    )
