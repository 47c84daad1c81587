"""Whether a thread's connection to PostgreSQL still lives is asked once in a while, and not before every request: to ask is a round trip."""

import threading
import time

from django.db import connection

LOOK_AGAIN = 5.0  # seconds
_looked = threading.local()


def trust_connection() -> None:
    """Where Django is about to look at this thread's connection (CONN_HEALTH_CHECKS) and did so a moment ago, let it be.

    PostgreSQL restarted in between: one request of this thread fails, and the next has a new connection.
    """
    now = time.monotonic()
    if now - getattr(_looked, "at", -LOOK_AGAIN) >= LOOK_AGAIN:
        _looked.at = now
    elif connection.connection is not None and not connection.errors_occurred:
        connection.health_check_done = True  # type: ignore[attr-defined]
