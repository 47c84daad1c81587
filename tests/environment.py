"""The environment of a test run, set before Django reads its settings (a `-p` plugin: loaded first). Nothing here touches .data/."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder in memory: hundreds of databases are cloned, and some disks take a second for each
ENOUGH = 4 << 30
PREFIX = "flexgate-tests-"


def make_folder() -> str:
    """In memory where there is enough of it. What a run that was killed left there is taken away first."""
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ENOUGH:
        return tempfile.mkdtemp(prefix=PREFIX)
    for left in MEMORY.glob(f"{PREFIX}*"):
        owner = left.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=MEMORY)


if "FLEXGATE_TEST_DATA" not in os.environ:
    # The first process makes the folder; workers of the same run inherit it and share one server.
    os.environ["FLEXGATE_TEST_DATA"] = make_folder()
    os.environ["FLEXGATE_TEST_MASTER"] = str(os.getpid())
os.environ["FLEXGATE_DATA"] = os.environ["FLEXGATE_TEST_DATA"]
os.environ["FLEXGATE_DEBUG"] = "1"
os.environ["FLEXGATE_LOG_LEVEL"] = "WARNING"
# A request's own thread sends, inside the test's transaction; tests of the senders and of whole processes set it.
os.environ["FLEXGATE_WAITING_THREADS"] = "0"
os.environ["FLEXGATE_ERRORS_PER_TENANT"] = "1000000"
# Wide: a test about something else must not meet them. What is about them sets its own.
for name in ("TOKEN", "TENANT", "OPERATOR_TOKEN"):
    os.environ[f"FLEXGATE_REQUESTS_PER_{name}"] = "1000000"
os.environ["FLEXGATE_FAILURES_PER_ADDRESS"] = "1000000"
for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "CELERY_BROKER_URL", "FLEXGATE_CLOCK_SHIFT"):
    os.environ.pop(name, None)


def pytest_unconfigure(config: pytest.Config) -> None:
    if os.environ.get("FLEXGATE_TEST_MASTER") == str(os.getpid()):
        shutil.rmtree(os.environ["FLEXGATE_TEST_DATA"], ignore_errors=True)
