"""The environment of a test run, set before Django reads its settings (a `-p` plugin: loaded first). Nothing here touches .data/."""

import os
import shutil
import tempfile

import pytest

if "FLEXGATE_TEST_DATA" not in os.environ:
    # The first process makes the folder; workers of the same run inherit it and share one server.
    os.environ["FLEXGATE_TEST_DATA"] = tempfile.mkdtemp(prefix="flexgate-tests-")
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
