"""`manage.py demo`: sandbox, gateway and a story from tenant to issued statement; stays up until Ctrl-C (`--exit` ends it)."""

import shutil
import signal
import threading
import time
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from billing.demo.gateway_process import DemoFailed, GatewayProcess, choose_port
from billing.demo.history import live_through
from billing.demo.play import play_story
from billing.demo.report import print_report
from billing.demo.story import plan_story
from gateway.fortiflex.days import PACIFIC
from gateway.sandbox import serve_sandbox
from tenants import clock

STEPS = 11


class Command(BaseCommand):
    help = "A sandbox in FortiFlex's place, the whole gateway, and an MSP's two months from tenant to issued statement. Starts afresh each time."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--exit", action="store_true", help="end after the report")
        parser.add_argument(
            "--port", type=int, default=8000, help="of the gateway; another one is taken if it is in use"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        started, ended = time.monotonic(), threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        data_dir = settings.FLEXGATE_DATA / "demo"
        shutil.rmtree(data_dir, ignore_errors=True)
        data_dir.mkdir(parents=True)
        console = Console(width=150)
        try:
            self._tell(console, data_dir, choose_port(options["port"]), started, None if options["exit"] else ended)
        except DemoFailed as error:
            raise CommandError(str(error)) from error

    def _tell(self, console: Console, data_dir: Path, port: int, started: float, ended: threading.Event | None) -> None:
        here: datetime = clock.now().astimezone(PACIFIC)
        story = plan_story(here.date(), hour=here.hour)
        columns = (TextColumn("{task.description:<55}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("Three months of history in the sandbox", total=STEPS)

            def step(description: str) -> None:
                progress.update(task, advance=1, description=description)

            past = live_through(story, clock.now)
            server = serve_sandbox(past.sandbox)
            step("The gateway: database, web, worker, scheduler")
            gateway = GatewayProcess(data_dir, port)
            try:
                gateway.wait_until_ready()
                told = play_story(gateway, server, story, past, data_dir / "exports", step)
                progress.update(task, completed=STEPS, description="Done")
            except BaseException:
                gateway.stop()
                server.close()
                raise
        print_report(console, gateway, server, story, past, told)
        console.print(f"took {time.monotonic() - started:.0f} seconds")
        if ended is not None:
            console.print("It stays up; Ctrl-C ends it.")
            ended.wait()
        gateway.stop()
        server.close()
