"""Fixtures of every test: PostgreSQL as the gateway's unprivileged role, the three people, and FortiFlex replaced at the transport."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.conf import settings

from gateway import ownership, upstream
from gateway.processes.hold import hold_servers
from tests import databases
from tests.contract.reporting import pytest_terminal_summary  # noqa: F401 - a hook, found here by its name
from tests.people import People, make_people
from tests.worlds import SandboxWorld, make_world


@pytest.fixture(scope="session")
def servers() -> Iterator[None]:
    """The run's own PostgreSQL and Valkey, shared by all its processes."""
    with hold_servers(settings.FLEXGATE_DATA, database=True, broker=True, durable=False):
        yield


@pytest.fixture(scope="session")
def django_db_setup(servers: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[None]:
    """A clone of the migrated template for this process. Tests connect as `flexgate`, so that row-level security is real."""
    name = f"run_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        databases.clone_template(name)
        databases.point_to(name)
    yield
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        databases.point_to(databases.TEMPLATE)
        databases.drop_database(name)


@pytest.fixture
def own_database(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[databases.OwnDatabase]:
    """For real commits, threads and processes: a database of this test's own, dropped afterwards."""
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())  # type: ignore[attr-defined]
        yield stack.enter_context(databases.own_database())


@pytest.fixture(autouse=True)
def forget_memories() -> Iterator[None]:
    """What a process remembers must not reach the next test."""
    yield
    ownership.forget_day()
    upstream.install_transport(None)


@pytest.fixture
def people(db: None) -> People:
    """acme (owner), acme's restricted token, globex (the stranger), and the operator."""
    return make_people()


@pytest.fixture
def world(people: People) -> SandboxWorld:
    """A sandbox behind the gateway's transport, one API user that serves nobody alone, and a mirrored account."""
    return make_world()
