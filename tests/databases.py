"""Databases of the test run: one template, migrated once as the owner; everything else is a clone of it."""

import fcntl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import connections
from psycopg import sql

from gateway.processes.database import prepare_database
from gateway.processes.locations import embedded_database_url, runtime_dir
from gateway.processes.postgres import connect_as_superuser

TEMPLATE = "flexgate"


@dataclass(frozen=True, slots=True)
class OwnDatabase:
    """A database of one test's own. `environment` is what a child process needs to use it."""

    name: str
    environment: dict[str, str] = field(default_factory=dict)


@contextmanager
def template_lock() -> Iterator[None]:
    """Cloning needs a template that nobody is connected to."""
    with (Path(settings.FLEXGATE_DATA) / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def clone_template(name: str) -> None:
    with template_lock():
        prepare_database()
        with connect_as_superuser(runtime_dir(settings.FLEXGATE_DATA)) as connection:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER flexgate_owner")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))


def drop_database(name: str) -> None:
    with connect_as_superuser(runtime_dir(settings.FLEXGATE_DATA)) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def point_to(name: str) -> str:
    """Let Django's connections use `name` from now on; the name they used before."""
    before = str(connections.settings["default"]["NAME"])
    connections.close_all()
    for alias in ("default", "owner"):
        connections.settings[alias]["NAME"] = name
    return before


@contextmanager
def own_database() -> Iterator[OwnDatabase]:
    name = f"own_{uuid.uuid4().hex[:12]}"
    before = point_to(TEMPLATE)
    clone_template(name)
    point_to(name)
    urls = {
        role: embedded_database_url(settings.FLEXGATE_DATA, role=role, name=name)
        for role in ("flexgate", "flexgate_owner")
    }
    try:
        yield OwnDatabase(name, {"DATABASE_URL": urls["flexgate"], "DATABASE_OWNER_URL": urls["flexgate_owner"]})
    finally:
        connections.close_all()
        point_to(before)
        drop_database(name)
