"""Several statements to PostgreSQL in one round trip, by its extended protocol: values stand in no statement's text, and so in no log of it.

psycopg's own pipelines do the same with more work for every statement than PostgreSQL has with most of ours.
"""

import contextlib
import functools
import select
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, connection
from psycopg import OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult


@dataclass(frozen=True, slots=True)
class Step:
    """One statement with $1, $2 … for its values. `name` = what it is prepared as (b"" = read and planned for this once), `new` = not yet."""

    text: bytes
    values: Sequence[Any] = ()
    name: bytes = b""
    new: bool = False


class Flight:
    """Statements under way. Until `land` nothing else may use this thread's connection.

    What flies outside of a transaction is one, and is undone if any of it fails. `known` is told what PostgreSQL has prepared since.
    """

    def __init__(self, steps: Sequence[Step], known: set[bytes]) -> None:
        connection.validate_no_broken_transaction()
        self._driver, self._steps, self._known = connection.connection, steps, known
        self._adapters = Transformer(self._driver)
        self._begun, self._landed = 0, False
        send: Any = self._send
        for wrapper in reversed(connection.execute_wrappers):
            send = functools.partial(wrapper, send)
        text = b"; ".join(step.text for step in steps).decode()
        with connection.wrap_database_errors:
            send(text, None, False, {"connection": connection, "cursor": None})
        if connection.queries_logged:
            connection.queries_log.append({"sql": text, "time": "0"})

    def land(self) -> list[list[Any]]:
        """The rows that each statement gave. Django's errors, of the first that failed."""
        with connection.wrap_database_errors:
            try:
                results = list(self._receive())
            except BaseException:
                self._driver.close()  # what it is in the middle of is nobody's any more
                raise
            finally:
                self._landed = True
            self._driver.pgconn.exit_pipeline_mode()
            return self._read(iter(results))

    def give_up(self) -> None:
        """Land, whatever comes of it: somebody failed meanwhile, and the connection is needed."""
        if not self._landed:
            with contextlib.suppress(DatabaseError):  # what failed first is told already
                self.land()

    def _send(self, *_: Any) -> None:
        server = self._driver.pgconn
        if connection.in_atomic_block and server.transaction_status == TransactionStatus.IDLE:
            self._steps, self._begun = [Step(b"BEGIN"), *self._steps], 1  # Django leaves that to its cursors
        # Before anything is on its way: a value that can't be sent breaks nothing.
        values = [self._adapters.dump_sequence(step.values, [PyFormat.TEXT] * len(step.values)) for step in self._steps]
        try:
            server.enter_pipeline_mode()
            for step, dumped in zip(self._steps, values, strict=True):
                if step.new:
                    server.send_prepare(step.name, step.text)
                if step.name:
                    server.send_query_prepared(step.name, dumped)
                else:
                    server.send_query_params(step.text, dumped)
            server.pipeline_sync()
            server.flush()
        except BaseException:
            self._driver.close()
            raise

    def _receive(self) -> Iterator[PGresult]:
        server, poll = self._driver.pgconn, select.poll()
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

    def _read(self, results: Iterator[PGresult]) -> list[list[Any]]:
        given, failed = list[PGresult](), None
        for step in self._steps:
            if step.new:
                prepared = next(results)
                if prepared.status == ExecStatus.COMMAND_OK:
                    self._known.add(step.name)
                failed = failed or _error_of(prepared)
            given.append(next(results))
            failed = failed or _error_of(given[-1])
        failed = failed or _error_of(next(results))  # a constraint that is looked at when it is committed
        if failed is not None:
            raise failed
        return [self._rows_of(result) for result in given[self._begun :]]

    def _rows_of(self, result: PGresult) -> list[Any]:
        if result.status != ExecStatus.TUPLES_OK:
            return []
        self._adapters.set_pgresult(result)
        return self._adapters.load_rows(0, result.ntuples, tuple)


def _error_of(result: PGresult) -> Exception | None:
    if result.status == ExecStatus.FATAL_ERROR:
        return error_from_result(result)
    return None
