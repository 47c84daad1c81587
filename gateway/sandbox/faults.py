"""Faults on request: what a network and a busy service do to a call, before or after its work is done."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["timeout", "cut", "refuse", "http_500", "http_429", "html", "cut_json", "empty"]
When = Literal["before", "after"]
KINDS = ("timeout", "cut", "refuse", "http_500", "http_429", "html", "cut_json", "empty")
ON_THE_SOCKET = frozenset({"timeout", "cut", "refuse"})  # the server or transport acts these out; the rest are answers
NEVER_AFTER = frozenset({"refuse", "http_429"})
HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"


@dataclass(slots=True)
class Fault:
    """The next `times` calls of `path` ("*" = any) fail as `kind`; with `when` = "after" the work is done and the answer lost."""

    path: str
    kind: Kind
    when: When
    times: int


class FaultPlan:
    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, path: str, kind: Kind, *, when: When, times: int) -> None:
        if kind not in KINDS or when not in {"before", "after"} or times < 1:
            raise ValueError(f"A fault is one of {', '.join(KINDS)}, before or after, at least once.")
        if when == "after" and kind in NEVER_AFTER:
            raise ValueError(f"{kind} means that the work was not done; it can't come after it.")
        self._faults.append(Fault(path, kind, when, times))

    def clear(self) -> None:
        self._faults.clear()

    def take(self, path: str) -> Fault | None:
        """The fault that befalls this call of `path`, used up by it."""
        for fault in self._faults:
            if fault.path in {path, "*"}:
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
                return fault
        return None
