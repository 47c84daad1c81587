"""Where the embedded servers live. Pure paths: nothing is created here, and settings may import it."""

import hashlib
import os
from pathlib import Path
from typing import Any

DATABASE_NAME = "flexgate"
SUPERUSER = "postgres"  # used for set-up alone


def runtime_dir(data_dir: Path) -> Path:
    """The folder of the sockets: short (a socket's path has at most 107 bytes), one per data folder and user, always the same."""
    digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
    return Path("/tmp") / f"flexgate-{os.geteuid()}-{digest}"  # noqa: S108 - its owner and mode are checked before use


def embedded_database(data_dir: Path, *, role: str, name: str = DATABASE_NAME) -> dict[str, Any]:
    """A Django DATABASES entry for `role` on the embedded PostgreSQL."""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": role,
        "HOST": str(runtime_dir(data_dir)),
        "PORT": "5432",
    }


def embedded_database_url(data_dir: Path, *, role: str, name: str = DATABASE_NAME) -> str:
    """The same as a URL, for child processes and other programs."""
    return f"postgres://{role}@/{name}?host={runtime_dir(data_dir)}"


def broker_socket(data_dir: Path) -> Path:
    return runtime_dir(data_dir) / "valkey.sock"


def embedded_broker_url(data_dir: Path) -> str:
    return f"redis+socket://{broker_socket(data_dir)}"
