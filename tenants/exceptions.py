"""Whatever goes wrong in or before a view becomes a problem document here, and nowhere else."""

import functools
from collections.abc import Callable
from typing import Any

import structlog
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework import exceptions
from rest_framework.response import Response

from tenants.authentication import not_authenticated
from tenants.problems import PROBLEM_TYPE, Problem, answer_problem, not_found

log = structlog.get_logger("flexgate.errors")


def handle_exception(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's EXCEPTION_HANDLER."""
    problem = problem_for(error)
    log_if_ours(error, view=context.get("view"))
    return Response(problem.as_document(), status=problem.status, headers=problem.headers, content_type=PROBLEM_TYPE)


def log_if_ours(error: Exception, *, view: Any) -> None:
    if problem_for(error).code == "internal_error":
        log.error("unhandled error", exc_info=error, view=type(view).__name__)


def problem_for(error: Exception) -> Problem:
    """The problem that tells the caller of `error`; our own faults tell nothing but that they were logged."""
    match error:
        case Problem():
            return error
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return not_authenticated()
        case exceptions.MethodNotAllowed():
            return Problem("method_not_allowed", "This path does not take that method.")
        case exceptions.NotFound() | Http404():
            return not_found()
        case exceptions.UnsupportedMediaType():
            return Problem("unsupported_media_type", "Send the body as application/json.")
        case exceptions.NotAcceptable():
            return Problem("not_acceptable", "This path answers application/json; accept that or */*.")
        case exceptions.ValidationError():
            errors = list(_flatten(error.detail, ""))
            return Problem(
                "invalid",
                errors[0]["detail"] if len(errors) == 1 else "Some fields are not right; see errors.",
                errors=errors,
            )
        case exceptions.ParseError() | SuspiciousOperation():
            return Problem("invalid", str(error) or "The request can't be read.")
        case _:
            return Problem("internal_error", "Something went wrong on our side. It was logged under this request id.")


def _flatten(detail: Any, pointer: str) -> Any:
    """DRF's nested error details as {"pointer", "detail"} rows."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from _flatten(
                value,
                pointer if key == "non_field_errors" else f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}",
            )
    elif isinstance(detail, list) and any(isinstance(item, (dict, list)) for item in detail):
        for index, value in enumerate(detail):
            yield from _flatten(value, f"{pointer}/{index}")
    else:
        for message in detail if isinstance(detail, list) else [detail]:
            yield {"pointer": pointer or "/", "detail": str(message)}


def answer_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler404: also for paths that no route knows."""
    return answer_problem(request, not_found())


def only_read(view: Callable[..., Response]) -> Callable[..., HttpResponseBase]:
    """A page of a library's: what it refuses, and what it has no answer to, is refused in our own form."""

    @functools.wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method not in {"GET", "HEAD"}:
            problem = problem_for(exceptions.MethodNotAllowed(str(request.method)))
            problem.headers["Allow"] = "GET, HEAD"
            return answer_problem(request, problem)
        response = view(request, *args, **kwargs)
        if response.status_code < 400:
            return response
        return answer_problem(request, Problem(response.data["code"], response.data["detail"]))

    return answer


def answer_csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """CSRF_FAILURE_VIEW: a form whose cookie is missing, foreign or old."""
    return answer_problem(request, Problem("csrf_failed", "Reload the page and send the form again."))


def answer_bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler400: a wrong Host header, a broken path."""
    return answer_problem(request, Problem("invalid", "The request can't be read. Check the host name and the path."))


def answer_server_error(request: HttpRequest) -> HttpResponse:
    """handler500."""
    return answer_problem(
        request, Problem("internal_error", "Something went wrong on our side. It was logged under this request id.")
    )
