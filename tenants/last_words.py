"""What is written when a context ends, in one round trip: rows and statements that nobody waits for within the transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from django.db import connection
from django.db.models import Model

from tenants.rows import Statement, write_together

Word = Model | Statement


@dataclass(slots=True)
class LastWords:
    """`depth` in savepoints, so that what is rolled back says nothing."""

    depth: int
    said: list[Word] = field(default_factory=list)


_open: ContextVar[LastWords | None] = ContextVar("flexgate_last_words", default=None)


@contextmanager
def collect_words() -> Iterator[list[Word]]:
    """What `write_last` is given inside, for the caller to write."""
    words = LastWords(len(connection.savepoint_ids))
    token = _open.set(words)
    try:
        yield words.said
    finally:
        _open.reset(token)


def write_last(words: Sequence[Word]) -> None:
    """Insert rows and run statements that nobody waits for within the transaction: in this order, in one round trip at its end.

    For what is only written (audit, events) or read by nobody before (see rows.write_together). As whoever acts now, and only if it comes
    to that. Within a savepoint of the caller's own they are written at once.
    """
    last = _open.get()
    if last is not None and len(connection.savepoint_ids) == last.depth:
        last.said += words
    else:
        write_together(words)
