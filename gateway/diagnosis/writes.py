"""What was asked for about it: in the queue, under way, of unknown outcome, not done."""

from typing import Any

from gateway.diagnosis.facts import Facts, State, Told
from gateway.models import Operation

# What to do about a change that was not done, by the code of its error.
ADVICE = {
    "upstream_rejected": "Correct the values and ask again.",
    "upstream_busy": "Ask again; the same Idempotency-Key starts the next attempt.",
    "upstream_unavailable": "Ask again; the same Idempotency-Key starts the next attempt.",
    "not_done": "Ask again; the same Idempotency-Key starts the next attempt.",
    "rate_limited": "Look why your last requests were refused, then ask again.",
    "partly_done": "Ask again for those that are not named.",
    "partly_created": "Ask again for as many as are missing.",
    "not_available": "Ask your operator if that is wrong.",
}
ELSE = "Ask again, or ask your operator."
ENDED_ON_PURPOSE = frozenset({"cancelled"})


def find_planned(facts: Facts) -> Told | None:
    # A hand-over's new token goes out by itself and holds nothing up: token_being_renewed tells of it.
    waiting = (row for row in _in_state(facts, State.PLANNED) if row.intent.get("because") != "handover")
    row = next(waiting, None)
    if row is None:
        return None
    more = {"position": facts.positions.get(row.id), "next_check_at": row.next_check_at}
    message = f"A change waits to be sent ({_named(row)}); further ones are refused until then. Wait, or cancel it."
    return Told(message, since=row.created_at, details=_describe(row) | more)


def find_sent(facts: Facts) -> Told | None:
    row = next(iter(_in_state(facts, State.SENT)), None)
    if row is None:
        return None
    message = f"FortiFlex is being asked right now ({_named(row)}). Look again in a minute."
    return Told(message, since=row.sent_at, details=_describe(row) | {"next_check_at": row.next_check_at})


def find_unknown(facts: Facts) -> Told | None:
    row = next((row for row in _in_state(facts, State.UNKNOWN) if row.next_check_at is not None), None)
    if row is None:
        return None
    message = f"Whether a change was done is not known yet ({_named(row)}); it is looked up by itself. Don't repeat it: wait until it is settled."
    return Told(message, since=row.sent_at, details=_describe(row) | {"next_check_at": row.next_check_at})


def find_one_for_a_person(facts: Facts) -> Told | None:
    row = next((row for row in _in_state(facts, State.UNKNOWN) if row.next_check_at is None), None)
    if row is None:
        return None
    what = (
        "Look in the portal, then settle it with POST operations/{id}/resolve."
        if facts.sees_all
        else "Ask your operator to settle it; until then nothing else can be changed."
    )
    message = f"Whether a change was done can't be found out without a person ({_named(row)}). {what}"
    return Told(message, since=row.sent_at, details=_describe(row))


def find_failed(facts: Facts) -> Told | None:
    """The last change, if it was not done: a later one that was done is what counts."""
    settled = (row for row in facts.operations if row.settled_at is not None)
    row = next((row for row in settled if (row.error or {}).get("code") not in ENDED_ON_PURPOSE), None)
    if row is None or row.state != State.FAILED or row.error is None:
        return None
    error = {"code": row.error["code"], "detail": row.error["detail"]}
    if facts.sees_all:
        error["upstream"] = row.error.get("upstream", "")
    message = (
        f"The last change was not done ({_named(row)}). {row.error['detail']} {ADVICE.get(row.error['code'], ELSE)}"
    )
    return Told(message, since=row.settled_at, details=_describe(row) | {"error": error})


def _in_state(facts: Facts, state: str) -> list[Operation]:
    """The oldest first: that is the one which holds up the others."""
    return [row for row in reversed(facts.operations) if row.state == state]


def _named(row: Operation) -> str:
    return Operation.Kind(row.kind).value.replace("_", " ")


def _describe(row: Operation) -> dict[str, Any]:
    return {"operation": row.id, "kind": row.kind}
