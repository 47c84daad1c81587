"""The threads that carry a process's writes to FortiFlex, so that a request can leave when its time is up and its write goes on."""

import contextvars
import functools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as OutOfTime

from django.conf import settings
from django.db import close_old_connections

from gateway.gate import Turn
from gateway.gate.waiting import enter_waiting_room, leave_waiting_room
from gateway.models import Operation
from gateway.operations import JOURNAL, leave_to_worker, lock_planned
from gateway.provisioning.closing import read_operation
from gateway.provisioning.drafts import Draft
from gateway.provisioning.sending import close_unsent, send_operation, start_at_once
from tenants.connections import trust_connection
from tenants.context import acting_as

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def send_within(operation: Operation, seconds: float, *, draft: Draft | None = None) -> Operation:
    """Send a planned operation, or one that is a `draft` yet; the row as it stands when it is settled or `seconds` are over, whichever comes first.

    Where as many threads wait as may, it is left to the worker at once. With FLEXGATE_WAITING_THREADS=0 the caller's own thread sends.
    Problems of a `draft`.
    """
    if not settings.FLEXGATE_WAITING_THREADS:
        return send_operation(operation, wait_seconds=seconds, turn=start_at_once(operation, draft=draft))
    if not enter_waiting_room(operation.tenant_id):
        if draft is not None:
            draft.journal()
        with acting_as(JOURNAL):
            row = lock_planned(operation.id)
            if row is not None:
                leave_to_worker(row)
        return read_operation(operation.id)
    until = time.monotonic() + seconds
    try:
        turn = start_at_once(operation, draft=draft)
        # The request's id and address go along: the same id stands in log, audit, journal and the answer.
        job = functools.partial(contextvars.copy_context().run, _send, operation, seconds, turn)
        future = _submit(job, turn)
    except BaseException:
        leave_waiting_room(operation.tenant_id)
        raise
    try:
        return future.result(timeout=max(0, until - time.monotonic()))
    except OutOfTime:
        return read_operation(operation.id)


def _submit(job: Callable[[], Operation], turn: Turn | None) -> "Future[Operation]":
    try:
        return _senders().submit(job)
    except BaseException:
        if turn is not None:
            close_unsent(turn)
        raise


def _send(operation: Operation, seconds: float, turn: Turn | None) -> Operation:
    try:
        close_old_connections()
        trust_connection()
    except BaseException:
        leave_waiting_room(operation.tenant_id)
        if turn is not None:
            close_unsent(turn)
        raise
    try:
        return send_operation(operation, wait_seconds=seconds, turn=turn)
    finally:
        leave_waiting_room(operation.tenant_id)


def _senders() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(settings.FLEXGATE_WAITING_THREADS, thread_name_prefix="sender")
        return _pool
