"""The form of every answer: {"status", "message", "error", …} for FortiFlex's paths, OAuth's for its login; numbers exactly as Decimals are.

Ansible fails on an answer without `status`, Terraform accepts nothing but 0 there and ignores HTTP codes, pyfortiflex goes by them alone:
so all three always agree.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson
from django.http import HttpResponse

from tenants.problems import Problem

SUCCESS = "Request processed successfully."
SECURITY_TOKEN = "Invalid security token."  # noqa: S105 - Ansible and Terraform compare it, the dot included
DENIED = "Authorization denied."
MANAGED = "This configuration is managed by your provider."
REPEAT = (
    "The outcome is not known yet. Repeat the same request: it is answered once it is known, and nothing is done twice."
)
LOGIN_FAILED = "Invalid credentials given."
FAILED, TOO_MANY = -1, -10
# What is not here is a refusal: 400. FortiFlex answers 401 for more; here it means one thing, because clients log in again on it.
HTTP_STATUS = {
    "not_authenticated": 401,
    "insufficient_scope": 403,
    "token_narrowed": 403,
    "operator_only": 403,
    "csrf_failed": 403,
    "config_managed": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "length_required": 411,
    "too_large": 413,
    "rate_limited": 429,
    "internal_error": 500,
    "in_progress": 503,
    "upstream_busy": 503,
    "upstream_unavailable": 503,
}
MESSAGES = {
    "not_authenticated": SECURITY_TOKEN,
    "insufficient_scope": DENIED,
    "token_narrowed": DENIED,
    "operator_only": DENIED,
    "csrf_failed": DENIED,
    "config_managed": MANAGED,
}

# A verb's refusal names its field as the REST API calls it. What speaks for itself (a config, a parameter) is left out.
FIELDS = {
    "count": "count",
    "description": "description",
    "end_date": "endDate",
    "folder_path": "folderPath",
    "name": "name",
    "serial_numbers": "serialNumbers",
    "account_id": "accountId",
}


def refuse(message: str, *, error: Mapping[str, Any] | None = None) -> Problem:
    """A definite no, in our words. `error` = FortiFlex's object where a client looks into it."""
    return Problem("invalid", message, extra={"error": error} if error else None)


def not_known_yet(*, retry_after: int = 1) -> Problem:
    return Problem("upstream_unavailable", REPEAT, headers={"Retry-After": str(retry_after)})


def render_success(content: Mapping[str, Any]) -> HttpResponse:
    return _answer(200, {"status": 0, "message": SUCCESS, "error": None, **content})


def render_failure(problem: Problem) -> HttpResponse:
    """Any problem under /ES, whether a call was reached or not."""
    message = MESSAGES.get(problem.code) or _name_field(problem)
    status = TOO_MANY if problem.code == "rate_limited" else FAILED
    content = {"status": status, "message": message, "error": problem.extra.get("error")}
    return _answer(HTTP_STATUS.get(problem.code, 400), content, problem.headers)


def render_login(content: Mapping[str, Any]) -> HttpResponse:
    return _answer(200, content)


def render_login_failure(problem: Problem) -> HttpResponse:
    """Any problem under the login's paths; `oauth` in its extra is RFC 6749's code."""
    status = TOO_MANY if problem.code == "rate_limited" else FAILED
    error = problem.extra.get("oauth", "invalid_request")
    content = {"error": error, "error_description": problem.detail, "status": status, "message": problem.detail}
    return _answer(HTTP_STATUS.get(problem.code, 400), content, problem.headers)


def dump(content: Any) -> bytes:
    return orjson.dumps(content, default=_write_exactly)


def write_number(number: Decimal) -> str:
    """The digits of `number` without trailing zeros: 6.3900 is 6.39, 100.0000 is 100."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def _name_field(problem: Problem) -> str:
    """The problem's sentence, with the field that it is about in FortiFlex's spelling."""
    pointer = problem.errors[0].get("pointer", "") if len(problem.errors) == 1 else ""
    field = FIELDS.get(pointer.split("/")[1] if pointer.startswith("/") else "")
    return f"Invalid value for {field}. {problem.detail}" if field else problem.detail


def _write_exactly(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(write_number(value))
    raise TypeError(f"{type(value).__name__} is not FortiFlex's JSON")


def _answer(status: int, content: Any, headers: Mapping[str, str] | None = None) -> HttpResponse:
    response = HttpResponse(dump(content), status=status, content_type="application/json; charset=utf-8")
    response["Content-Length"] = str(len(response.content))  # the server would send it in chunks
    for name, value in (headers or {}).items():
        if name != "WWW-Authenticate":  # FortiFlex sends none, and it would name us
            response[name] = value
    return response
