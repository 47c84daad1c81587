"""The gateway as its users meet it: `manage.py serve` in a process of its own, commands beside it, and HTTP."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from gateway.processes.children import start_tethered, stop_child

ROOT = Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 90


class DemoFailed(RuntimeError):
    """Says which step did not work, and what it printed."""


class GatewayProcess:
    """`manage.py serve` on its own data folder, and the means to use it."""

    def __init__(self, data_dir: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = data_dir / "serve.log"
        kept_out = {"DATABASE_URL", "DATABASE_OWNER_URL", "CELERY_BROKER_URL"}
        self._env = {name: value for name, value in os.environ.items() if name not in kept_out}
        self._env |= {
            "FLEXGATE_DATA": str(data_dir),
            "FLEXGATE_DEBUG": "1",
            "FLEXGATE_SELLER_NAME": "Demo MSP",
            "COLUMNS": "200",
        }
        command = [sys.executable, "manage.py", "serve", "--port", str(port)]
        self._process = start_tethered(command, log=self.log, env=self._env)
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def wait_until_ready(self) -> None:
        ends_at = time.monotonic() + READY_SECONDS
        while time.monotonic() < ends_at:
            if self._process.poll() is not None:
                raise DemoFailed(f"The gateway ended:\n{self.log.read_text()[-2000:]}")
            try:
                self.http.get("/healthz").raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.1)
            else:
                return
        raise DemoFailed(f"The gateway did not answer within {READY_SECONDS} seconds; see {self.log}.")

    def run(self, *arguments: str) -> str:
        """A command beside the running gateway; what it printed on stdout."""
        done = subprocess.run(  # noqa: S603
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DemoFailed(f"manage.py {' '.join(arguments)}:\n{done.stdout}{done.stderr[-2000:]}")
        return done.stdout

    def call(self, method: str, path: str, token: str, body: Any = None, *, expect: int = 200) -> Any:
        """A REST call; its JSON. DemoFailed for any other status than `expect`."""
        answer = self.http.request(method, f"/api/v1/{path}", json=body, headers={"Authorization": f"Bearer {token}"})
        if answer.status_code != expect:
            raise DemoFailed(f"{method} {path}: HTTP {answer.status_code} {answer.text}")
        return answer.json()

    def stop(self) -> None:
        self.http.close()
        stop_child(self._process, with_signal=signal.SIGTERM, seconds=60)


def choose_port(wanted: int) -> int:
    """`wanted` if it is free, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # a gateway that ended a moment ago is no obstacle
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoFailed("No port is free.")
