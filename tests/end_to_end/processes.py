"""Real child processes on a test's own database, against a sandbox on a real socket."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from gateway.credentials import ApiUserFields, save_api_user
from gateway.mirror import sync_api_user
from gateway.models import ApiUser
from gateway.processes.tree import Tree
from gateway.sandbox import SandboxServer
from tenants.actors import system
from tests.databases import OwnDatabase

ROOT = Path(__file__).resolve().parent.parent.parent
SETUP = system("set-up")
WIDE = {"per_minute": 100_000, "per_hour": 1_000_000, "errors_per_hour": 10_000}


@contextmanager
def web(database: OwnDatabase, log: Path, **more: str) -> Iterator[str]:
    """One web process as `serve` starts it, with `more` in its environment; its base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, **database.environment, "PYTHONPATH": str(ROOT), "FLEXGATE_LOG_LEVEL": "INFO", **more}
    command = Tree("127.0.0.1", port).children[0].command
    with log.open("wb") as written:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=written, stderr=written)
    try:
        for _ in range(300):
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=1)
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:  # it still waits for FortiFlex
            process.kill()
            process.wait()


def start_python(code: str, environment: dict[str, str]) -> "subprocess.Popen[str]":
    """`code` in a process of its own with Django set up."""
    setup = f"import django; django.setup()\n{code}"
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "gateway.settings", **environment}
    return subprocess.Popen(
        [sys.executable, "-c", setup], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, "it did not happen in time"
        time.sleep(0.05)


def add_user_of(server: SandboxServer) -> ApiUser:
    fields = ApiUserFields(
        username="user", password="password", api_url=server.api_url, auth_url=server.auth_url, **WIDE
    )
    row, _ = save_api_user(SETUP, name="main", fields=fields)
    sync_api_user(row)
    return row


def calls_of(server: SandboxServer, path: str) -> int:
    return sum(1 for call in server.sandbox.calls if call.path == path)
