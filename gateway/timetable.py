"""What runs when. A table: Celery's scheduler reads it out of the settings, and times are Pacific there (CELERY_TIMEZONE)."""

from collections.abc import Mapping
from typing import Any

from celery.schedules import crontab

SCHEDULE: Mapping[str, Mapping[str, Any]] = {
    "seal": {"task": "gateway.tasks.seal_records", "schedule": 5.0},
    "audit-heads": {"task": "gateway.tasks.tell_audit_heads", "schedule": crontab(minute="20")},
    "keep-time": {"task": "gateway.tasks.keep_time", "schedule": 15.0},
    "sync": {"task": "gateway.tasks.sync_api_users", "schedule": 15 * 60.0},
    "tags": {"task": "gateway.tasks.follow_all_tags", "schedule": 5 * 60.0},
    "points": {"task": "gateway.tasks.pull_all_points", "schedule": crontab(minute="10", hour="*/6")},
    "month-end": {"task": "billing.tasks.issue_month", "schedule": crontab(minute="5", hour="9")},
    "forget-calls": {"task": "gateway.tasks.forget_calls", "schedule": crontab(minute="40", hour="2")},
}
