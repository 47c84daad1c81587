"""Errors as RFC 9457 problem documents with stable codes. One function renders them, in a view and before one is reached."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse

from tenants.context import current_request_id

PROBLEM_TYPE = "application/problem+json"
STATUS_BY_CODE: dict[str, int] = {
    "invalid": 400,
    "not_authenticated": 401,
    "insufficient_scope": 403,
    "token_narrowed": 403,
    "operator_only": 403,
    "csrf_failed": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "state_conflict": 409,
    "in_progress": 409,
    "config_managed": 409,
    "quota_exceeded": 409,
    "budget_exceeded": 409,
    "insufficient_points": 409,
    "not_available": 409,
    "length_required": 411,
    "precondition_failed": 412,
    "too_large": 413,
    "unsupported_media_type": 415,
    "idempotency_mismatch": 422,
    "rate_limited": 429,
    "internal_error": 500,
    "upstream_rejected": 502,
    "upstream_unavailable": 503,
    "upstream_busy": 503,
}


class Problem(Exception):
    """Something the caller can act on.

    `errors`: [{"pointer": "/count", "detail": "…"}], the pointer RFC 6901 into the body or "?name" for a query parameter.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status = STATUS_BY_CODE[code]
        self.detail = detail
        self.errors = [dict(error) for error in errors]
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def as_document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "type": f"urn:flexgate:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "request_id": current_request_id(),
        }
        if self.errors:
            document["errors"] = self.errors
        return document | self.extra


def invalid(pointer: str, detail: str) -> Problem:
    """400 `invalid` for one field."""
    return Problem("invalid", detail, errors=[{"pointer": pointer, "detail": detail}])


def not_found() -> Problem:
    """The one 404: what is not yours answers as what never was."""
    return Problem("not_found", "There is no such resource here. Check the path and the id.")


@dataclass(frozen=True, slots=True)
class Guise:
    """Paths under which the gateway answers as another vendor's service: in its form, and to its host names besides our own."""

    prefix: str
    render: Callable[[Problem], HttpResponse]
    hosts: Callable[[], Collection[str]]
    is_on: Callable[[], bool]


_forms: list[Guise] = []


def register_error_form(
    prefix: str,
    render: Callable[[Problem], HttpResponse],
    *,
    hosts: Callable[[], Collection[str]] = tuple,
    is_on: Callable[[], bool] = lambda: True,
) -> None:
    """Errors under `prefix` look as `render` makes them; apps call this in ready(). A vendor's clients write paths in any case and with
    doubled slashes, and so `prefix` is found.
    """
    _forms.append(Guise(plain_path(prefix), render, hosts, is_on))


def plain_path(path: str) -> str:
    """`//ES//api/` → `/es/api`."""
    return "/" + "/".join(part for part in path.lower().split("/") if part)


def guise_of(path: str) -> Guise | None:
    """As whom the gateway answers under `path`; None = as itself."""
    plain = plain_path(path)
    found = (form for form in _forms if plain == form.prefix or plain.startswith(f"{form.prefix}/"))
    return next((form for form in found if form.is_on()), None)


def answer_problem(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The one place that chooses an error's form by path, also for what fails before a view is reached."""
    guise = guise_of(request.path)
    return guise.render(problem) if guise is not None else render_problem(problem)


def render_problem(problem: Problem) -> HttpResponse:
    """The problem as a plain Django response."""
    response = HttpResponse(orjson.dumps(problem.as_document()), status=problem.status, content_type=PROBLEM_TYPE)
    for name, value in problem.headers.items():
        response[name] = value
    return response
