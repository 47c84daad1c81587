"""The process tree of `serve`: web, worker and scheduler under one supervisor that restarts what dies and leaves no orphan."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from gateway.processes.children import start_tethered, stop_child

ROOT = Path(__file__).resolve().parent.parent.parent
THREADS = 64  # threads, not async, carry requests that wait for FortiFlex
WORKER_THREADS = 16  # most of them wait for FortiFlex: one that hangs must not keep the other API users waiting
HEADER_SECONDS = 10  # for a client to send its headers
READY_SECONDS = 60
STOP_SECONDS = 20
LONGEST_PAUSE = 30.0
QUIET = "ignore:You're running the worker with superuser"  # root does no harm here: messages are JSON, never pickles
log = structlog.get_logger("flexgate.serve")


class PortTaken(RuntimeError):
    """Says which port, and what to do."""


@dataclass(slots=True)
class Child:
    """One supervised process; `pause` grows while it keeps dying at once."""

    name: str
    command: list[str]
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    pause: float = 0.5
    start_again_at: float = 0.0


@dataclass(slots=True)
class Tree:
    host: str
    port: int
    children: list[Child] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        celery = [sys.executable, "-m", "celery", "-q", "-A", "gateway.celery"]
        web = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", self.host, "--port", str(self.port)]
        web += [
            "--workers",
            "1",
            "--blocking-threads",
            str(THREADS),
            "--backpressure",
            str(THREADS * 2),
            "--no-ws",
            "--http",
            "1",
            "--http1-header-read-timeout",
            str(HEADER_SECONDS * 1000),
        ]
        web += ["--log-level", "error", "--respawn-failed-workers", "gateway.wsgi:application"]
        worker = [*celery, "worker", "--pool", "threads", "--concurrency", str(WORKER_THREADS), "--loglevel", "WARNING"]
        worker += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        self.children = [
            Child("web", web),
            Child("worker", worker),
            Child("scheduler", [*celery, "beat", "--loglevel", "WARNING", "--pidfile="]),
        ]

    def run(self, *, when_ready: Callable[[], None]) -> None:
        """Until a signal ends it. Raises PortTaken before anything starts."""
        refuse_taken_port(self.host, self.port)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.ended.set())
        threading.Thread(target=self._announce, args=(when_ready,), daemon=True).start()
        try:
            while not self.ended.wait(0.2):
                self._keep_running()
        finally:
            self._stop()

    def _keep_running(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                lived = now - child.started
                child.pause = 0.5 if lived > 60 else min(child.pause * 2, LONGEST_PAUSE)
                child.start_again_at = now + child.pause
                log.error(
                    "a process ended and is started again",
                    name=child.name,
                    code=child.process.returncode,
                    after=round(lived),
                )
                child.process = None
            if child.process is None and now >= child.start_again_at:
                child.process = start_tethered(
                    child.command, env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": QUIET}
                )
                child.started = now

    def _stop(self) -> None:
        """The scheduler first, so that nothing new begins; then the worker and the web finish what they do."""
        for child in reversed(self.children):
            if child.process is not None:
                stop_child(child.process, with_signal=signal.SIGTERM, seconds=STOP_SECONDS)

    def _announce(self, when_ready: Callable[[], None]) -> None:
        ends_at = time.monotonic() + READY_SECONDS
        while time.monotonic() < ends_at and not self.ended.is_set():
            if _answers(f"http://{_reachable(self.host)}:{self.port}/healthz"):
                when_ready()
                return
            time.sleep(0.1)
        if not self.ended.is_set():
            log.error("the web server does not answer", host=self.host, port=self.port)


def refuse_taken_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(
                f"Port {port} on {host} can't be had ({error.strerror}); choose another with --port."
            ) from error


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own http URL
            return True
    except OSError:  # URLError is one too
        return False


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
