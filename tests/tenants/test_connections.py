"""A thread's connection is looked at once in a while: a PostgreSQL that was restarted costs at most one request a thread."""

import pytest
from django.db import OperationalError, close_old_connections, connection, connections

from tenants import connections as ours
from tenants.connections import trust_connection
from tests.databases import OwnDatabase
from tests.people import make_people


def begin_request() -> None:
    close_old_connections()
    trust_connection()


def ask() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def end_connection(pid: int) -> None:
    """As the restart of a server does. From a connection of the same role, which may do that."""
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()


def test_a_dead_connection_is_found_by_the_next_look(
    own_database: OwnDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_request()
    first = ask()
    end_connection(first)
    monkeypatch.setattr(ours, "LOOK_AGAIN", 0.0)
    begin_request()
    assert ask() != first


def test_what_goes_in_one_trip_looks_too(own_database: OwnDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    people = make_people()
    assert people.acme.get("operations").status_code == 200
    end_connection(ask())
    monkeypatch.setattr(ours, "LOOK_AGAIN", 0.0)
    close_old_connections()
    assert people.acme.get("operations").status_code == 200


def test_a_connection_that_died_since_the_last_look_fails_one_request(own_database: OwnDatabase) -> None:
    ours._looked.at = -ours.LOOK_AGAIN * 2
    begin_request()
    first = ask()
    begin_request()
    assert connection.health_check_done, "nothing is asked again within a few seconds"
    assert ask() == first
    end_connection(first)
    begin_request()
    with pytest.raises(OperationalError):
        ask()
    begin_request()
    assert ask() != first
