"""Around every request: one id and the caller's address, from the first log line to the last, and the headers that every answer carries."""

import re
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host

from tenants import ids
from tenants.addresses import client_address
from tenants.connections import trust_connection
from tenants.context import with_address, with_request_id
from tenants.metrics import observe_request
from tenants.problems import Problem, answer_problem, guise_of, not_found
from tenants.rate_limits import rate_headers

ACCEPTABLE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
HEALTH = ("/healthz", "/readyz")
LONGEST_QUERY = 8_000  # characters; a filter is no place to store things
NOTHING_RUNS = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
OWN_PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
log = structlog.get_logger("flexgate.http")


class RequestContextMiddleware:
    """Takes the client's Request-Id where it is well-formed, makes one otherwise, and returns it on every answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        trust_connection()
        offered = request.headers.get("Request-Id", "")
        request_id = offered if ACCEPTABLE_REQUEST_ID.fullmatch(offered) else ids.new_id().hex
        started = time.monotonic()
        address = client_address(request.META)
        bound = structlog.contextvars.bound_contextvars(request_id=request_id)
        with with_request_id(request_id), with_address(address), bound:
            response = self._answer(request)
            self._label(request, response)
            response["Request-Id"] = request_id
            took = time.monotonic() - started
            match = request.resolver_match
            route = "admin" if request.path.startswith("/admin/") else str(match.route) if match is not None else "none"
            observe_request(method=str(request.method), route=route, status=response.status_code, took=took)
            log.info(
                "request",
                method=request.method,
                path=request.path,  # without the query string: search texts are customers' data
                status=response.status_code,
                address=address,
                ms=round(took * 1000),
            )
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        query = request.META.get("QUERY_STRING", "")
        if request.path not in HEALTH:  # a balancer asks those by address
            try:
                request.get_host()
            except DisallowedHost:
                if not _is_called_by_a_vendors_name(request):
                    return answer_problem(
                        request, Problem("invalid", "This gateway does not answer to that host name.")
                    )
        if "\x00" in request.path:
            return answer_problem(request, not_found())
        if "%00" in query:
            return answer_problem(request, Problem("invalid", "A query can't hold the character NUL."))
        if len(query) > LONGEST_QUERY:
            return answer_problem(
                request, Problem("invalid", f"A query string takes at most {LONGEST_QUERY} characters.")
            )
        if request.headers.get("Transfer-Encoding") and not request.META.get("CONTENT_LENGTH"):
            return answer_problem(
                request, Problem("length_required", "Send the body with a Content-Length, not in chunks.")
            )
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdigit() and len(length) < 20):
            return answer_problem(request, Problem("invalid", "Content-Length must be a whole number."))
        if settings.FLEXGATE_PROXIES and "," in request.headers.get("X-Forwarded-Proto", ""):
            return answer_problem(
                request, Problem("invalid", "X-Forwarded-Proto came twice: the proxy must set it, not add to it.")
            )
        if int(length) > settings.FLEXGATE_MAX_BODY_BYTES:
            return answer_problem(
                request,
                Problem("too_large", f"A request body may have at most {settings.FLEXGATE_MAX_BODY_BYTES} bytes."),
            )
        return self.get_response(request)

    def _label(self, request: HttpRequest, response: HttpResponse) -> None:
        for name, value in rate_headers().items():
            response[name] = value
        has_pages = request.path.startswith(("/admin/", "/api/v1/docs"))
        response.setdefault("Content-Security-Policy", OWN_PAGES if has_pages else NOTHING_RUNS)
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
        response.setdefault("Cache-Control", "private, no-cache")


def _is_called_by_a_vendors_name(request: HttpRequest) -> bool:
    """Clients that can't be told another host reach us through DNS: the vendor's name, and on the vendor's paths alone."""
    guise = guise_of(request.path)
    domain, _ = split_domain_port(request.META.get("HTTP_HOST", ""))
    return guise is not None and bool(domain) and validate_host(domain, list(guise.hosts()))
