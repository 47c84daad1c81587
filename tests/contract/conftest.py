"""One lived world for all operations of this folder: made once, and put back after every request."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core import signals
from django.db import close_old_connections

from tests import databases
from tests.contract.scene import TODAY, Scene, make_scene
from tests.gateway.ledger.scenes import noon_of


@pytest.fixture(scope="module")
def scene(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[Scene]:
    with django_db_blocker.unblock(), databases.own_database():  # type: ignore[attr-defined]
        made = make_scene()
        with noon_of(TODAY), kept_connection():
            yield made


@contextmanager
def kept_connection() -> Iterator[None]:
    """A request ends inside the test's transaction: Django would close the connection, and that would end the transaction."""
    for signal in (signals.request_started, signals.request_finished):
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in (signals.request_started, signals.request_finished):
            signal.connect(close_old_connections)
