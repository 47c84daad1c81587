"""The guardian of the embedded servers: their parent, apart from every user, and gone when the last user is.

Users hold a shared lock on DATA/users.lock. The guardian keeps trying for the exclusive one; to get it means that nobody is left (the
kernel lets go of a killed user's lock too), so it stops the servers and ends. A server that dies meanwhile is started again.
Run as `python -m gateway.processes.guardian DATA [--volatile] [--no-database] [--no-broker]`; it writes "ready" or the reason why not.
"""

import contextlib
import fcntl
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from gateway.processes.children import stop_child
from gateway.processes.postgres import locate_cluster, start_postgres
from gateway.processes.valkey import start_valkey

POLL_SECONDS = 0.2


class Servers:
    """The embedded servers that run now."""

    def __init__(self, data_dir: Path, *, database: bool, broker: bool, durable: bool) -> None:
        self._data_dir = data_dir
        self._cluster = locate_cluster(data_dir, durable=durable) if database else None
        self._broker = broker
        self._postgres: subprocess.Popen[bytes] | None = None
        self._valkey: subprocess.Popen[bytes] | None = None

    def keep_running(self) -> None:
        """Start what doesn't run."""
        if self._cluster is not None and (self._postgres is None or self._postgres.poll() is not None):
            self._postgres = start_postgres(self._cluster)
        if self._broker and (self._valkey is None or self._valkey.poll() is not None):
            self._valkey = start_valkey(self._data_dir)

    def stop(self) -> None:
        if self._valkey is not None:
            stop_child(self._valkey, with_signal=signal.SIGTERM, seconds=5)
        if self._postgres is not None:
            stop_child(self._postgres, with_signal=signal.SIGINT, seconds=30)


def main(argv: list[str]) -> int:
    data_dir = Path(argv[0])
    # Ctrl-C goes to the whole terminal group; the guardian ends with the last user and not before.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with (data_dir / "guardian.lock").open("w") as alive, (data_dir / "users.lock").open("a") as users:
        fcntl.flock(alive, fcntl.LOCK_EX)  # held for life: a new user sees by it whether there is a guardian
        servers = None
        try:
            servers = Servers(
                data_dir,
                database="--no-database" not in argv,
                broker="--no-broker" not in argv,
                durable="--volatile" not in argv,
            )
            servers.keep_running()
            _tell("ready")
            while not _is_deserted(users):
                time.sleep(POLL_SECONDS)
                servers.keep_running()
        except Exception as error:  # noqa: BLE001 - whatever it is, the user who waits must read it
            _tell(str(error))
            return 1
        finally:
            if servers is not None:
                servers.stop()
    return 0


def _tell(verdict: str) -> None:
    """One line to the user who waits, who may be gone by now."""
    with contextlib.suppress(BrokenPipeError):
        print(verdict, flush=True)  # noqa: T201 - stdout is the pipe to the starter


def _is_deserted(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
