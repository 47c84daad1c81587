"""The WSGI application that granian (or gunicorn) serves."""

import gc
import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.checks import Tags, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")
_django = get_wsgi_application()
# manage.py checks before every command; a web server that was started without it must refuse the same.
for message in run_checks(tags=[Tags.security]):
    if message.is_serious():
        raise ImproperlyConfigured(f"{message.id}: {message.msg} {message.hint}")
# What stands after the start stays: the garbage collector need not walk through it in the middle of requests.
gc.collect()
gc.freeze()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django's answer; whole in one piece where it is whole already, which granian sends without a channel for what may come after it."""
    response = _django(environ, start_response)
    if not isinstance(response, HttpResponse):  # a stream
        return response
    try:
        return [response.content]
    finally:
        response.close()  # the server does it only for what it reads from
