"""JSON lines on stderr that carry request, tenant and operation ids, and no secret."""

import re
from typing import Any

import structlog

SECRET_NAMES = re.compile(r"passw|secret|authorization|access_token|refresh_token|credential|pepper", re.IGNORECASE)
OUR_TOKEN = re.compile(r"fxg_(tenant|operator)_(live|test)_[0-9a-f]{32}_\w+")


def hide_secrets(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """A last net: values under telling names, and anything that has our tokens' form, leave as "[hidden]"."""
    for name, value in event.items():
        if SECRET_NAMES.search(name):
            event[name] = "[hidden]"
        elif isinstance(value, str):
            event[name] = OUR_TOKEN.sub("[hidden]", value)
    return event


def configure_logs(level: str) -> dict[str, Any]:
    """Set structlog up and return Django's LOGGING: the same JSON form for our own and for other libraries' lines."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        # What nobody wants to read is dropped before anything is gathered for it.
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": shared,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            hide_secrets,
            structlog.processors.JSONRenderer(),
        ],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.request": {"level": "ERROR"},  # our middleware logs every request itself
            "httpx": {"level": "WARNING"},  # its INFO line has whole URLs
            "httpcore": {"level": "WARNING"},
        },
    }
