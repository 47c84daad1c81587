"""The outermost layer: a request id for everything that follows, one log line per request, and problem documents for what no view catches."""

import re
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from tenants import ids
from tenants.context import with_request_id
from tenants.problems import Problem, not_found, render_problem

ACCEPTABLE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
log = structlog.get_logger("flexgate.http")


class RequestContextMiddleware:
    """Takes the client's Request-Id where it is well-formed, makes one otherwise, and returns it on every answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        offered = request.headers.get("Request-Id", "")
        request_id = offered if ACCEPTABLE_REQUEST_ID.fullmatch(offered) else ids.new_id().hex
        started = time.monotonic()
        with with_request_id(request_id), structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self._answer(request)
            response["Request-Id"] = request_id
            log.info(
                "request",
                method=request.method,
                path=request.path,  # without the query string: search texts are customers' data
                status=response.status_code,
                ms=round((time.monotonic() - started) * 1000),
            )
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path or "\x00" in request.GET.urlencode(safe="\x00"):
            return render_problem(not_found())
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdigit():
            return render_problem(Problem("invalid", "Content-Length must be a whole number."))
        if int(length) > settings.FLEXGATE_MAX_BODY_BYTES:
            return render_problem(
                Problem("too_large", f"A request body may have at most {settings.FLEXGATE_MAX_BODY_BYTES} bytes.")
            )
        return self.get_response(request)
