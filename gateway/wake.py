"""Tell the worker that something waits for it now. What is due is found again in PostgreSQL anyway: a broker that is down loses only seconds."""

from uuid import UUID

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

log = structlog.get_logger("flexgate.wake")


def wake_drain(api_user_id: UUID) -> None:
    """The queue of this API user is drained at the worker's next free moment, not at the next tick."""
    try:
        current_app.send_task("gateway.tasks.drain_one", args=[str(api_user_id)], retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        log.warning("worker not woken", api_user=str(api_user_id), reason=type(error).__name__)
