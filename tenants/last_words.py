"""What is written when a context ends, in one round trip: rows and statements that nobody waits for within the transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import Model

from tenants.append_only import AppendOnly
from tenants.rows import Statement, write_together

Word = Model | Statement


@dataclass(slots=True)
class LastWords:
    """`savepoints` of the connection that were open then, so that what is rolled back says nothing."""

    savepoints: Sequence[Any]
    depth: int
    said: list[Word] = field(default_factory=list)


_open: ContextVar[LastWords | None] = ContextVar("flexgate_last_words", default=None)


@contextmanager
def collect_words() -> Iterator[list[Word]]:
    """What `write_last` is given inside, for the caller to write."""
    savepoints = connection.savepoint_ids
    words = LastWords(savepoints, len(savepoints))
    token = _open.set(words)
    try:
        yield words.said
    finally:
        _open.reset(token)
    words.said.sort(key=_kind_of_record)


def _kind_of_record(word: Word) -> str:
    """Events and audit entries go last, each kind in one statement: nothing depends on them, and triggers queue them statement by statement."""
    return type(word).__name__ if isinstance(word, AppendOnly) else ""


def write_last(words: Sequence[Word]) -> None:
    """Insert rows and run statements that nobody waits for within the transaction: in this order, in one round trip at its end.

    For what is only written (audit, events) or read by nobody before (see rows.write_together). As whoever acts now, and only if it comes
    to that. Within a savepoint of the caller's own they are written at once.
    """
    last = _open.get()
    if last is not None and len(last.savepoints) == last.depth:
        last.said += words
    else:
        write_together(words)
