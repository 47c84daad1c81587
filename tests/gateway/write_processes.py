"""Processes of the write machine: forked, several at the same moment, killed before any statement and at any moment of an upstream call."""

import json
import os
import signal
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from django.db import connection, connections

from gateway.fortiflex.connecting import FreshConnections

LONGEST = 180  # seconds after which a process counts as hanging
# httpcore's own words for the moments of a request.
MOMENTS = {
    "before it is sent": "http11.send_request_headers.started",
    "after it is sent": "http11.send_request_body.complete",
    "after the answer": "http11.receive_response_body.complete",
}
_kept: list[Any] = []


@dataclass(frozen=True, slots=True)
class Kill:
    """Ends a process as kill -9 would: before its `number`-th statement, or at a moment of its `number`-th call of FortiFlex."""

    number: int
    moment: str = "statement"


@dataclass(frozen=True, slots=True)
class Job:
    """What one process does; what `work` returns must be JSON-able."""

    work: Callable[[], Any]
    kill: Kill | None = None


class MortalTransport(httpx.BaseTransport):
    """The real network, on which the process may die."""

    def __init__(self) -> None:
        self._inner = FreshConnections()
        self._calls = 0
        self.kill: Kill | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._calls += 1
        kill, watch = self.kill, request.extensions["trace"]
        if kill is not None and kill.number == self._calls:

            def die_or_watch(event: str, info: Mapping[str, Any]) -> None:
                if event == MOMENTS[kill.moment]:
                    os._exit(9)
                watch(event, info)

            request.extensions = {**request.extensions, "trace": die_or_watch}
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def run_at_once(jobs: Sequence[Job], transport: MortalTransport) -> list[Any]:
    """Each job in a process of its own, all of them let go at the same moment; what each returned, None = it was killed.

    AssertionError with its traceback for one that failed by itself.
    """
    gate, opening = os.pipe()
    children = [_start(job, transport, gate, opening) for job in jobs]
    os.close(gate)
    os.close(opening)
    return [_finish(pid, answers, job) for job, (pid, answers) in zip(jobs, children, strict=True)]


def _start(job: Job, transport: MortalTransport, gate: int, opening: int) -> tuple[int, int]:
    answers, answering = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        signal.alarm(LONGEST)
        os.close(opening)
        os.read(gate, 1)  # nothing comes: it ends when the last one was started
        _be_child(job, transport, answering)
    os.close(answering)
    return pid, answers


def _be_child(job: Job, transport: MortalTransport, answering: int) -> None:
    try:
        # The parent's connection is the parent's: even to close it would end it there.
        _kept.append(connections["default"].connection)
        connections["default"].connection = None
        if job.kill is not None and job.kill.moment == "statement":
            with connection.execute_wrapper(_Killer(job.kill.number)):
                answer = job.work()
        else:
            transport.kill = job.kill
            answer = job.work()
        text = json.dumps({"answer": answer})
    except BaseException:  # noqa: BLE001 - whatever it was, the parent has to hear of it
        text = json.dumps({"failed": traceback.format_exc()})
    with os.fdopen(answering, "w") as written:
        written.write(text)
    os._exit(0)


def _finish(pid: int, answers: int, job: Job) -> Any:
    with os.fdopen(answers) as read:
        text = read.read()
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code == 0 or (code == 9 and job.kill is not None), f"a process ended with {code}"
    said = json.loads(text) if code == 0 else {"answer": None}
    assert "failed" not in said, said["failed"]
    return said["answer"]


class _Killer:
    """Ends the process before its n-th statement: no clean-up, no rollback of our own."""

    def __init__(self, at: int) -> None:
        self._left = at

    def __call__(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        self._left -= 1
        if self._left <= 0:
            os._exit(9)
        return execute(sql, params, many, context)
