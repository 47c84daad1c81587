"""All that one sandbox is: its world, clock, settings, limits, planned faults and log, behind one lock."""

import threading
from datetime import datetime
from typing import Any, NamedTuple

from gateway.sandbox.calls import WRITES
from gateway.sandbox.clock import Clock
from gateway.sandbox.faults import FaultPlan
from gateway.sandbox.limits import Limits
from gateway.sandbox.settings import SandboxSettings
from gateway.sandbox.world import World


class CallRecord(NamedTuple):
    """One line of the sandbox's own log; `status` is the envelope's, or the name of the fault that hid it.

    `at` = when it was handled, between `began_at` and `ended_at` (None = its caller still waits). `done`: whether it was, whatever the
    caller was told; `serials`: what its answer named.
    """

    at: datetime
    api_user: str
    path: str
    http_status: int
    status: int | str
    body: dict[str, Any]
    began_at: datetime
    ended_at: datetime | None
    done: bool = False
    serials: tuple[str, ...] = ()


class State:
    def __init__(self, world: World, clock: Clock, settings: SandboxSettings) -> None:
        self.world, self.clock, self.settings = world, clock, settings
        self.limits, self.faults = Limits(), FaultPlan()
        self.calls: list[CallRecord] = []
        self.lock = threading.RLock()

    def log(self, path: str, api_user: str, http_status: int, status: int | str, body: dict[str, Any]) -> None:
        now = self.clock.now()
        self.calls.append(CallRecord(now, api_user, path, http_status, status, body, now, now))

    def amend(self, number: int, **more: Any) -> None:
        """What became known of a call after it was logged."""
        self.calls[number] = self.calls[number]._replace(**more)

    @staticmethod
    def is_write(path: str) -> bool:
        return path in WRITES
