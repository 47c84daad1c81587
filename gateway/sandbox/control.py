"""The sandbox's control surface over HTTP, so that another process can move its clock, break it and read its log. JSON POST."""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from gateway.sandbox.application import dump
from gateway.sandbox.sandbox import Sandbox
from gateway.sandbox.settings import SandboxSettings

Body = Mapping[str, Any]


def control(sandbox: Sandbox, verb: str, raw: bytes) -> tuple[int, bytes]:
    """HTTP code and JSON of one control request; 404 for an unknown verb, 400 for a wrong body."""
    act = VERBS.get(verb)
    if act is None:
        return 404, dump({"error": f"The verbs are {', '.join(sorted(VERBS))}."})
    try:
        return 200, dump(act(sandbox, json.loads(raw or b"{}", parse_float=Decimal)))
    except (ValueError, KeyError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        return 400, dump({"error": f"{type(error).__name__}: {error}"})


def _clock(sandbox: Sandbox, body: Body) -> Any:
    if "set" in body:
        sandbox.clock.set(datetime.fromisoformat(body["set"]))
    if "advance_seconds" in body:
        sandbox.clock.advance(timedelta(seconds=body["advance_seconds"]))
    if body.get("run_free"):
        sandbox.clock.run_free()
    return {"now": sandbox.clock.now().isoformat()}


def _faults(sandbox: Sandbox, body: Body) -> Any:
    sandbox.plan_fault(body["path"], body["kind"], when=body.get("when", "before"), times=body.get("times", 1))
    return {"planned": dict(body)}


def _use_token(sandbox: Sandbox, body: Body) -> Any:
    sandbox.use_token(body["serial_number"])
    return {"used": body["serial_number"]}


def _edit_description(sandbox: Sandbox, body: Body) -> Any:
    sandbox.edit_description(body["serial_number"], body["description"])
    return {"edited": body["serial_number"]}


def _points(sandbox: Sandbox, body: Body) -> Any:
    return {serial: str(points) for serial, points in sandbox.points_on(date.fromisoformat(body["day"])).items()}


def _correct_points(sandbox: Sandbox, body: Body) -> Any:
    sandbox.require(body["serial_number"])
    sandbox.correct_points(body["serial_number"], date.fromisoformat(body["day"]), Decimal(body["points"]))
    return {"corrected": body["serial_number"]}


def _calls(sandbox: Sandbox, body: Body) -> Any:
    times = ("at", "began_at", "ended_at")
    return [
        record._asdict() | {name: moment.isoformat() if (moment := getattr(record, name)) else None for name in times}
        for record in sandbox.calls
    ]


def _entitlements(sandbox: Sandbox, body: Body) -> Any:
    return sandbox.entitlements()


def _settings(sandbox: Sandbox, body: Body) -> Any:
    for name, value in body.items():
        wanted = type(getattr(SandboxSettings(), name)) if name in SandboxSettings.__slots__ else None
        if wanted is None or not (value is None or wanted is type(None) or isinstance(value, wanted | Decimal | int)):
            raise ValueError(f"{name} takes no {value!r}.")
        setattr(sandbox.settings, name, value)
    return {name: getattr(sandbox.settings, name) for name in sandbox.settings.__slots__}


VERBS: dict[str, Callable[[Sandbox, Body], Any]] = {
    "clock": _clock,
    "faults": _faults,
    "use-token": _use_token,
    "edit-description": _edit_description,
    "points": _points,
    "correct-points": _correct_points,
    "calls": _calls,
    "entitlements": _entitlements,
    "settings": _settings,
}
