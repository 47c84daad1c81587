"""From a request to a reply: routing, login, limits, the handler, the envelope, and the fault that was asked for."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from gateway.sandbox.calls import HANDLERS
from gateway.sandbox.calls.call import Call
from gateway.sandbox.faults import HTML, ON_THE_SOCKET, Fault
from gateway.sandbox.login import answer_login, answer_revoke, find_caller
from gateway.sandbox.refusals import SECURITY_TOKEN, Refusal
from gateway.sandbox.state import State

MARKED = re.compile(r'"\\u0000(\d+)\\u0000"')
SUCCESS = "Request processed successfully."


@dataclass(frozen=True, slots=True)
class Reply:
    """`socket_fault` = don't send this reply: act the fault out instead."""

    http_status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json; charset=utf-8"})
    socket_fault: str | None = None
    cut_from: int | None = None  # the length that a cut-off body was announced with
    call: int | None = None  # its line in the log


def handle(state: State, *, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """Answer one request. The caller holds the state's lock."""
    name, logged = _name_of(path), len(state.calls)
    fault = state.faults.take(name)
    if fault is not None and fault.when == "before":
        reply = _act_out(fault, Reply(200, b"{}"))
        state.log(name, "", reply.http_status, fault.kind, {} if name.startswith("oauth/") else _peek(body))
    else:
        reply = _answer(state, name, method, headers, body)
        if fault is not None:
            state.amend(-1, status=fault.kind)  # what its caller was left with
            reply = _act_out(fault, reply)
    return replace(reply, call=logged) if len(state.calls) > logged else reply


def _name_of(path: str) -> str:
    """`/ES/api/fortiflex/v2/configs/list` → `configs/list`, in any case and with doubled slashes."""
    cleaned = "/".join(part for part in path.split("?")[0].split("/") if part)
    lowered = cleaned.lower()
    for prefix in ("es/api/fortiflex/v2/", "es/api/flexvm/v1/"):
        if lowered.startswith(prefix):
            return lowered.removeprefix(prefix)
    return {"api/v1/oauth/token": "oauth/token", "api/v1/oauth/revoke_token": "oauth/revoke_token"}.get(lowered, "")


def _answer(state: State, name: str, method: str, headers: Mapping[str, str], raw: bytes) -> Reply:
    now = state.clock.now()
    if name.startswith("oauth/"):
        body = _read_login(raw, headers.get("content-type", ""))
        if name == "oauth/token":
            http_status, answer = answer_login(state.world, body, now, state.settings)
        else:
            http_status, answer = answer_revoke(state.world, body)
        state.log(name, str(body.get("username", "")), http_status, str(answer["status"]), {})
        return _reply(http_status, answer)
    if name not in HANDLERS:
        return Reply(404, b"<html><body><h1>Not Found</h1></body></html>", {"Content-Type": "text/html"})
    username, payload = "", {}
    try:
        user = find_caller(state.world, headers.get("authorization", ""), now)
        username = user.username
        state.limits.count_call(username, now, state.settings)
        if method != "POST":
            raise Refusal("Method not allowed.", http_status=405)
        payload = _read_body(raw)
        if user.permission == "ReadOnly" and state.is_write(name):
            raise Refusal("Authorization denied.", http_status=401)
        content = HANDLERS[name](Call(state.world, user, payload, now, state.settings))
    except Refusal as refusal:
        if str(refusal) != SECURITY_TOKEN:
            state.limits.count_error(username, now)
        state.log(name, username, refusal.http_status, refusal.status, payload)
        return _reply(refusal.http_status, {"status": refusal.status, "message": str(refusal), "error": refusal.error})
    state.log(name, username, 200, 0, payload)
    named = [item for key in ("entitlements", "vms") for item in content.get(key) or ()] if state.is_write(name) else []
    state.amend(-1, done=True, serials=tuple(item["serialNumber"] for item in named))
    if state.settings.null_lists:
        content = {key: None if value == [] else value for key, value in content.items()}
    return _reply(200, {"status": 0, "message": SUCCESS, "error": None, **content})


def _act_out(fault: Fault, reply: Reply) -> Reply:
    if fault.kind in ON_THE_SOCKET:
        return Reply(reply.http_status, reply.body, reply.headers, socket_fault=fault.kind)
    html = {"Content-Type": "text/html"}
    match fault.kind:
        case "http_500":
            return _reply(500, {"status": -1, "message": "Internal server error.", "error": None})
        case "http_429":
            return _reply(429, {"status": -10, "message": "Too many requests.", "error": None})
        case "html":
            return Reply(502 if fault.when == "before" else 200, HTML, html)
        case "cut_json":
            return Reply(200, reply.body[: max(1, len(reply.body) // 2)], reply.headers, cut_from=len(reply.body))
        case _:
            return Reply(200, b"")


def _read_body(raw: bytes) -> dict[str, Any]:
    """A JSON object; nothing and `""` count as an empty one, as some clients send."""
    try:
        body = json.loads(raw, parse_float=Decimal) if raw.strip() else {}
    except (ValueError, RecursionError):
        raise Refusal("Invalid request body.") from None
    if body in ("", None):
        return {}
    if not isinstance(body, dict):
        raise Refusal("Invalid request body.")
    return body


def _peek(raw: bytes) -> dict[str, Any]:
    """The body of a call that nobody handles, for the log."""
    try:
        return _read_body(raw)
    except Refusal:
        return {}


def _read_login(raw: bytes, content_type: str) -> dict[str, Any]:
    if "form-urlencoded" in content_type:
        return dict(parse_qsl(raw.decode(errors="replace")))
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _reply(http_status: int, answer: dict[str, Any]) -> Reply:
    return Reply(http_status, dump(answer))


def dump(answer: Any) -> bytes:
    """JSON whose numbers have exactly the digits of their Decimals: json itself would go through float."""
    numbers: list[str] = []

    def mark(value: Any) -> Any:
        if isinstance(value, Decimal):
            numbers.append(format(value, "f"))
            return f"\x00{len(numbers) - 1}\x00"
        if isinstance(value, dict):
            return {key: mark(item) for key, item in value.items()}
        return [mark(item) for item in value] if isinstance(value, (list, tuple)) else value

    text = json.dumps(mark(answer))
    return MARKED.sub(lambda match: numbers[int(match[1])], text).encode()
