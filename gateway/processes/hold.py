"""Hold on to the embedded servers while a command or the gateway uses them; the guardian stops them when nobody does."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gateway.processes.children import UNPRIVILEGED_ID
from gateway.processes.locations import runtime_dir

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def hold_servers(data_dir: Path, *, database: bool, broker: bool, durable: bool = True) -> Iterator[None]:
    """The servers run for the length of the block. RuntimeError with the reason if they can't be started."""
    if not database and not broker:
        yield
        return
    data_dir.mkdir(parents=True, exist_ok=True)
    _own_runtime_dir(data_dir)
    with (data_dir / "start.lock").open("w") as starting, (data_dir / "users.lock").open("a") as users:
        fcntl.flock(starting, fcntl.LOCK_EX)  # one starter at a time
        fcntl.flock(users, fcntl.LOCK_SH)  # waits while a guardian is shutting down
        if not _has_guardian(data_dir):
            _start_guardian(data_dir, database=database, broker=broker, durable=durable)
        fcntl.flock(starting, fcntl.LOCK_UN)
        yield


def _own_runtime_dir(data_dir: Path) -> None:
    """Anybody can create names under /tmp: the folder must be ours, and closed to others, before a socket lies in it."""
    folder = runtime_dir(data_dir)
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    owners = {os.geteuid(), UNPRIVILEGED_ID} if os.geteuid() == 0 else {os.geteuid()}
    if folder.is_symlink() or state.st_uid not in owners or state.st_mode & 0o077:
        raise RuntimeError(f"{folder} is not ours alone; remove it and try again.")


def _has_guardian(data_dir: Path) -> bool:
    with (data_dir / "guardian.lock").open("a") as alive:
        try:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _start_guardian(data_dir: Path, *, database: bool, broker: bool, durable: bool) -> None:
    command = [sys.executable, "-m", "gateway.processes.guardian", str(data_dir)]
    wanted = {"--volatile": not durable, "--no-database": not database, "--no-broker": not broker}
    command += [flag for flag, given in wanted.items() if given]
    with (data_dir / "guardian.log").open("ab") as log:
        guardian = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True, cwd=ROOT
        )
    reason = _read_verdict(guardian.stdout)
    if reason != "ready":
        guardian.wait()
        raise RuntimeError(f"The embedded servers did not start: {reason or 'see guardian.log'}")
    guardian.returncode = 0  # it lives on by itself: no ResourceWarning for a child that we don't wait for


def _read_verdict(pipe: IO[bytes] | None) -> str:
    if pipe is None:
        return ""
    with pipe:
        return pipe.readline().decode().strip()
