"""The embedded servers: started once, shared, stopped by the last to leave, and found dead when they are."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.processes.children import UNPRIVILEGED_ID, stop_child
from gateway.processes.hold import hold_servers
from gateway.processes.locations import broker_socket, runtime_dir
from gateway.processes.postgres import connect_as_superuser, locate_cluster, start_postgres
from gateway.processes.secret_files import read_or_create
from gateway.processes.valkey import valkey_answers

ROOT = Path(__file__).resolve().parent.parent.parent.parent
HOLD = (
    "import sys, time; from pathlib import Path; from gateway.processes.hold import hold_servers\n"
    "with hold_servers(Path(sys.argv[1]), database=True, broker=True, durable=False):\n"
    "    print('held', flush=True); time.sleep(float(sys.argv[2]))"
)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    closed = tmp_path / "closed folder"
    closed.mkdir(mode=0o700)
    return closed / "data"


def hold_elsewhere(data_dir: Path, seconds: float) -> "subprocess.Popen[str]":
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data_dir), str(seconds)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def end(child: "subprocess.Popen[str]") -> None:
    child.kill()
    child.communicate()


def servers_of(data_dir: Path) -> list[int]:
    """The pids whose command line names this data folder or its sockets."""
    marks = (str(data_dir).encode(), str(runtime_dir(data_dir)).encode())
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if any(mark in command for mark in marks):
                found.append(int(entry.name))
    return found


def wait_until_gone(data_dir: Path) -> None:
    ends_at = time.monotonic() + 20
    while servers_of(data_dir):
        assert time.monotonic() < ends_at, "servers were left behind"
        time.sleep(0.1)


def server_pid(data_dir: Path) -> int:
    """As this machine numbers it: the postmaster's own idea may be that of a namespace."""
    for pid in servers_of(data_dir):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"bin/postgres" in command:
            return pid
    raise AssertionError("no PostgreSQL runs")


def test_two_processes_share_and_the_last_one_stops(data_dir: Path) -> None:
    other = hold_elsewhere(data_dir, 60)
    before = server_pid(data_dir)
    with hold_servers(data_dir, database=True, broker=True, durable=False):
        assert server_pid(data_dir) == before
        end(other)
        time.sleep(0.6)  # the first user was killed, not asked: the kernel let go of its lock
        assert valkey_answers(data_dir)
        with connect_as_superuser(runtime_dir(data_dir), "flexgate") as connection:
            rows = connection.execute(
                "SELECT rolname FROM pg_roles WHERE rolname LIKE 'flexgate%' ORDER BY 1"
            ).fetchall()
        assert [row[0] for row in rows] == [
            "flexgate",
            "flexgate_auth",
            "flexgate_narrowed",
            "flexgate_operator",
            "flexgate_owner",
            "flexgate_tenant",
        ]
    wait_until_gone(data_dir)


def test_a_killed_server_is_started_again(data_dir: Path) -> None:
    with hold_servers(data_dir, database=True, broker=True, durable=False):
        before = server_pid(data_dir)
        os.kill(before, signal.SIGKILL)
        ends_at = time.monotonic() + 20
        while time.monotonic() < ends_at:
            try:
                connect_as_superuser(runtime_dir(data_dir)).close()
            except Exception:  # noqa: BLE001 - whatever a server in recovery answers
                time.sleep(0.1)
                continue
            break
        assert server_pid(data_dir) != before
    wait_until_gone(data_dir)


def test_when_the_guardian_is_killed_nothing_is_left_and_the_next_user_starts_afresh(data_dir: Path) -> None:
    child = hold_elsewhere(data_dir, 60)
    for pid in servers_of(data_dir):
        if b"gateway.processes.guardian" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    end(child)
    wait_until_gone(data_dir)
    with hold_servers(data_dir, database=True, broker=True, durable=False):
        assert valkey_answers(data_dir)
    wait_until_gone(data_dir)


def test_the_sockets_folder_is_closed_and_short(data_dir: Path) -> None:
    with hold_servers(data_dir, database=True, broker=True, durable=False):
        assert runtime_dir(data_dir).stat().st_mode & 0o077 == 0
        assert len(str(broker_socket(data_dir))) < 107
    wait_until_gone(data_dir)


def test_a_folder_that_others_can_enter_is_refused(data_dir: Path) -> None:
    folder = runtime_dir(data_dir)
    folder.mkdir()
    folder.chmod(0o755)
    try:
        with pytest.raises(RuntimeError, match="not ours alone"), hold_servers(data_dir, database=True, broker=True):
            pass
    finally:
        folder.rmdir()


def test_secrets_are_made_once_and_closed(tmp_path: Path) -> None:
    first = read_or_create(tmp_path, "FLEXGATE_TOKEN_PEPPERS")
    assert read_or_create(tmp_path, "FLEXGATE_TOKEN_PEPPERS") == first
    assert first.startswith("1:")
    assert (tmp_path / "secrets" / "FLEXGATE_TOKEN_PEPPERS").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run PostgreSQL as somebody else")
def test_where_namespaces_are_forbidden_root_runs_it_as_nobody_from_a_copy(data_dir: Path) -> None:
    data_dir.mkdir()
    sockets = runtime_dir(data_dir)
    sockets.mkdir(mode=0o700)
    cluster = locate_cluster(data_dir, durable=False, namespaces=False)
    try:
        for _ in range(2):  # set up, then found again
            server = start_postgres(cluster)
            try:
                assert Path(f"/proc/{server.pid}").stat().st_uid == UNPRIVILEGED_ID
                with connect_as_superuser(cluster.sockets, "flexgate") as connection:
                    assert connection.execute("SELECT current_database()").fetchone() == ("flexgate",)
            finally:
                stop_child(server, with_signal=signal.SIGINT, seconds=20)
    finally:
        shutil.rmtree(Path("/var/tmp") / sockets.name)  # noqa: S108 - the very folder under test
        shutil.rmtree(sockets)
