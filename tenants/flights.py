"""Several statements to PostgreSQL in one round trip, by its extended protocol: values stand in no statement's text, and so in no log of it.

psycopg's own pipelines do the same with more work for every statement than PostgreSQL has with most of ours.
"""

import functools
import select
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import OperationalError
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from tenants.written import write_values


@dataclass(frozen=True, slots=True)
class Step:
    """One statement with $1, $2 … for its values. `name` = what it is prepared as (b"" = read and planned for this once), `new` = not yet."""

    text: bytes
    values: Sequence[Any] = ()
    name: bytes = b""
    new: bool = False


@dataclass(slots=True)
class Known:
    """What belongs to one connection: the names of what it has prepared, and how values are written for it and read from it."""

    database: BaseDatabaseWrapper  # asked for once: behind Django's `connection` stands a look-up for every thread
    driver: Any
    names: set[bytes] = field(default_factory=set)
    adapters: Any = field(init=False)

    def __post_init__(self) -> None:
        self.adapters = Transformer(self.driver)


_thread = threading.local()


def what_is_known() -> Known:
    """Of this thread's connection, which stands afterwards."""
    database = connections[DEFAULT_DB_ALIAS]
    database.close_if_health_check_failed()  # as Django's cursors do; tenants.connections says how often that is
    database.ensure_connection()
    known: Known | None = getattr(_thread, "known", None)
    if known is None or known.driver is not database.connection:
        known = _thread.known = Known(database, database.connection)
    return known


class Found(Sequence[list[Any]]):
    """The rows that each statement gave; read when somebody looks at them, which nobody does with most."""

    def __init__(self, results: Sequence[PGresult], adapters: Any) -> None:
        self._results, self._adapters = results, adapters

    def __len__(self) -> int:
        return len(self._results)

    @overload
    def __getitem__(self, place: int) -> list[Any]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[list[Any]]: ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return Found(self._results[place], self._adapters)
        result = self._results[place]
        if result.status != ExecStatus.TUPLES_OK:
            return []
        self._adapters.set_pgresult(result)
        return self._adapters.load_rows(0, result.ntuples, tuple)


def fly(steps: Sequence[Step], known: Known) -> Sequence[list[Any]]:
    """The rows that each statement gave. What flies outside of a transaction is one, and is undone if any of it fails: Django's errors, of
    the first that did. `known` learns what PostgreSQL has prepared since.
    """
    database, server, begun = known.database, known.driver.pgconn, 0
    database.validate_no_broken_transaction()
    if database.in_atomic_block and server.transaction_status == TransactionStatus.IDLE:
        steps, begun = [Step(b"BEGIN"), *steps], 1  # Django leaves that to its cursors
    with database.wrap_database_errors:
        _tell_and_send(steps, known)
        try:
            results = list(_receive(server))
        except BaseException:
            known.driver.close()  # what it is in the middle of is nobody's any more
            raise
        server.exit_pipeline_mode()
        return Found(_read(steps, iter(results), known)[begun:], known.adapters)


def _tell_and_send(steps: Sequence[Step], known: Known) -> None:
    """Whoever watches Django's statements sees these too, as one."""
    database = known.database
    if not database.execute_wrappers and not database.queries_logged:
        _send(steps, known)
        return
    send: Any = lambda *_: _send(steps, known)  # noqa: E731 - it is wrapped
    for wrapper in reversed(database.execute_wrappers):
        send = functools.partial(wrapper, send)
    text = b"; ".join(step.text for step in steps).decode()
    send(text, None, False, {"connection": database, "cursor": None})
    if database.queries_logged:
        database.queries_log.append({"sql": text, "time": "0"})


def _send(steps: Sequence[Step], known: Known) -> None:
    server = known.driver.pgconn
    # Before anything is on its way: a value that can't be sent breaks nothing.
    values = [write_values(step.values, known.adapters) for step in steps]
    try:
        server.enter_pipeline_mode()
        for step, dumped in zip(steps, values, strict=True):
            if step.new:
                server.send_prepare(step.name, step.text)
            if step.name:
                server.send_query_prepared(step.name, dumped)
            else:
                server.send_query_params(step.text, dumped)
        server.pipeline_sync()
        server.flush()
    except BaseException:
        known.driver.close()
        raise


def _receive(server: Any) -> Iterator[PGresult]:
    poll = select.poll()
    while True:
        while server.is_busy():
            unsent = server.flush()
            poll.register(server.socket, select.POLLIN | select.POLLOUT if unsent else select.POLLIN)
            poll.poll()
            server.consume_input()
        result = server.get_result()
        if result is not None:
            yield result
            if result.status == ExecStatus.PIPELINE_SYNC:
                return
        elif server.status == ConnStatus.BAD:
            raise OperationalError("The connection to PostgreSQL was lost.")


def _read(steps: Sequence[Step], results: Iterator[PGresult], known: Known) -> list[PGresult]:
    given, failed = list[PGresult](), None
    for step in steps:
        if step.new:
            prepared = next(results)
            if prepared.status == ExecStatus.COMMAND_OK:
                known.names.add(step.name)
            failed = failed or _error_of(prepared)
        given.append(next(results))
        failed = failed or _error_of(given[-1])
    failed = failed or _error_of(next(results))  # a constraint that is looked at when it is committed
    if failed is not None:
        raise failed
    return given


def _error_of(result: PGresult) -> Exception | None:
    if result.status == ExecStatus.FATAL_ERROR:
        return error_from_result(result)
    return None
