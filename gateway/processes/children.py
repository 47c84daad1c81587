"""Child processes that end with their parent, and PostgreSQL as root without being root."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
INNER_ID = 1000  # what root is called inside the namespace: anybody but root
UNPRIVILEGED_ID = 65534  # nobody

_libc = ctypes.CDLL(None, use_errno=True)


def tether_to(parent: int, death_signal: signal.Signals) -> None:
    """In a new child: receive `death_signal` when the parent dies, also if it died just now."""
    _libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def enter_user_namespace() -> None:
    """In a new child that is root: become a namespace's ordinary user. Files of root are this user's own. OSError where it is forbidden."""
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{INNER_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{INNER_ID} {gid} 1")


def namespaces_allowed() -> bool:
    """Try it in a child: containers and hardened kernels forbid it in many ways."""
    child = subprocess.run(
        [sys.executable, "-c", ""], preexec_fn=_quiet(enter_user_namespace), stderr=subprocess.DEVNULL, check=False
    )
    return child.returncode == 0


def _quiet(step: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        try:
            step()
        except OSError:
            os._exit(1)

    return run


def start_tethered(
    command: Sequence[str],
    *,
    death_signal: signal.Signals = signal.SIGTERM,
    in_namespace: bool = False,
    user: int | None = None,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start `command` in a session of its own, tethered to this process. Output goes to `log`, or where ours goes."""
    parent = os.getpid()

    def prepare() -> None:
        if in_namespace:
            enter_user_namespace()
        tether_to(parent, death_signal)  # last: a change of user clears it

    more: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    out = log.open("ab") if log else None
    try:
        return subprocess.Popen(  # noqa: S603
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT if out else None,
            preexec_fn=prepare,
            start_new_session=True,
            env=None if env is None else dict(env),
            **more,
        )
    finally:
        if out:
            out.close()


def stop_child(child: "subprocess.Popen[bytes]", *, with_signal: signal.Signals, seconds: float) -> None:
    """Ask it to end; after `seconds` make it end."""
    if child.poll() is None:
        child.send_signal(with_signal)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
