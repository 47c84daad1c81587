"""Creating entitlements: VMs, found again by tag; hardware, by serial number; cloud, by account and config."""

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from typing import Any

from gateway.fortiflex import records
from gateway.fortiflex.client import FortiFlexClient
from gateway.fortiflex.days import parse_wire_time
from gateway.fortiflex.records import Answer
from gateway.models import Attempt, Operation, ProgramAccount
from gateway.operations import CREATED_BY, JOURNAL, Plan
from gateway.provisioning.writes.storing import foreign_serials, store_new_entitlements
from gateway.provisioning.writes.write import Finding, Stored, Verdict, WrongAnswer
from gateway.tags import Tag, join_tag, split_tag
from tenants.context import acting_as

CLOCK_TOLERANCE = timedelta(minutes=10)  # between FortiFlex's clock and ours
Entitlements = Sequence[records.Entitlement]


def parse_day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


class CreateVms:
    """entitlements/vm/create: one description for all of them, so one tag for all of them."""

    def build_request(self, operation: Operation, tag: str) -> dict[str, Any]:
        intent = operation.intent
        return {
            "config_id": operation.config_id,
            "count": intent["count"],
            "description": join_tag(intent["description"], tag),
            "end_day": intent.get("end_day"),
            "folder_path": intent.get("folder_path"),
            "skip_pending": bool(intent.get("skip_pending")),
        }

    def send(self, client: FortiFlexClient, request: dict[str, Any]) -> Answer[list[records.Entitlement]]:
        return client.create_vm_entitlements(**(request | {"end_day": parse_day(request["end_day"])}))

    def store(self, operation: Operation, value: Entitlements) -> Stored:
        serials = store_new_entitlements(operation, value)
        missing = max(0, operation.intent["count"] - len(serials))
        return Stored(serials, operation.config_id, missing=missing)

    def look(self, client: FortiFlexClient, operation: Operation, attempt: Attempt) -> Finding:
        listed = client.list_entitlements(config_id=operation.config_id).value
        tagged = [(record, tag) for record in listed if (tag := _tag_of(record, operation)) is not None]
        mine = [record for record, tag in tagged if tag.attempt == attempt.number]
        earlier = [record.serial_number for record, tag in tagged if tag.attempt < attempt.number]
        found, left = _adoptable(operation, mine, by_start=False)  # our own valid tag says more than anybody's clock
        seen = {"looked_at": f"entitlements/list of config {operation.config_id}", "listed": len(listed)}
        seen |= {"with_our_tag": [record.serial_number for record in found], "not_adopted": left, "earlier": earlier}
        return _verdict(found, asked=operation.intent["count"], seen=seen)


class CreateHardware:
    """entitlements/hardware/create takes no description.

    So each serial is described by an operation of its own afterwards: an operation is one upstream write, and what became of the
    creation must not hang on whether the text arrived.
    """

    def build_request(self, operation: Operation, tag: str) -> dict[str, Any]:
        return {
            "config_id": operation.config_id,
            "serial_numbers": operation.intent["serial_numbers"],
            "end_day": operation.intent.get("end_day"),
        }

    def send(self, client: FortiFlexClient, request: dict[str, Any]) -> Answer[list[records.Entitlement]]:
        return client.create_hardware_entitlements(**(request | {"end_day": parse_day(request["end_day"])}))

    def store(self, operation: Operation, value: Entitlements) -> Stored:
        asked = operation.intent["serial_numbers"]
        others = sorted({record.serial_number for record in value} - set(asked))
        if others:
            raise WrongAnswer(f"The answer names {', '.join(others)}, which nobody asked for.")
        serials = store_new_entitlements(operation, value)
        followups = [describe_later(operation, serial) for serial in serials]
        return Stored(serials, operation.config_id, missing=len(asked) - len(serials), followups=followups)

    def look(self, client: FortiFlexClient, operation: Operation, attempt: Attempt) -> Finding:
        asked = set(operation.intent["serial_numbers"])
        listed = client.list_entitlements(config_id=operation.config_id).value
        here = [record for record in listed if record.serial_number in asked]
        return _finding_without_tag(operation, here, asked=len(asked), listed=len(listed))


class CreateCloud:
    """entitlements/cloud/create: at most one per product and account. The description is not documented and evidently taken [observed]."""

    def build_request(self, operation: Operation, tag: str) -> dict[str, Any]:
        return {
            "config_id": operation.config_id,
            "description": join_tag(operation.intent["description"], tag),
            "end_day": operation.intent.get("end_day"),
            "folder_path": operation.intent.get("folder_path"),
        }

    def send(self, client: FortiFlexClient, request: dict[str, Any]) -> Answer[list[records.Entitlement]]:
        return client.create_cloud_entitlement(**(request | {"end_day": parse_day(request["end_day"])}))

    def store(self, operation: Operation, value: Entitlements) -> Stored:
        return Stored(store_new_entitlements(operation, value), operation.config_id)

    def look(self, client: FortiFlexClient, operation: Operation, attempt: Attempt) -> Finding:
        listed = client.list_entitlements(config_id=operation.config_id).value
        tagged = [record for record in listed if _tag_of(record, operation) is not None]
        # Another operation's tag, ours or a neighbour's, says that another creation made it.
        untagged = [record for record in listed if split_tag(record.description)[1] is None]
        if tagged:
            found, left = _adoptable(operation, tagged, by_start=False)
            seen = {"looked_at": f"entitlements/list of config {operation.config_id}", "not_adopted": left}
            return _verdict(found, asked=1, seen=seen)
        return _finding_without_tag(operation, untagged, asked=1, listed=len(listed))


def describe_later(operation: Operation, serial: str) -> Plan:
    """The write that puts text and tag on an entitlement whose creation could not."""
    return Plan(
        kind=Operation.Kind.UPDATE_ENTITLEMENT,
        tenant_id=operation.tenant_id,
        api_user_id=operation.api_user_id,
        program_serial=operation.program_serial,
        account_id=operation.account_id,
        config_id=operation.config_id,
        serial_numbers=[serial],
        intent={
            "description": operation.intent["description"],
            "because": f"{CREATED_BY}{operation.id}",
            "follows": str(operation.id),
        },
    )


def _tag_of(record: records.Entitlement, operation: Operation) -> Tag | None:
    _, tag = split_tag(record.description)
    return tag if tag is not None and tag.valid and tag.operation_id == operation.id else None


def _adoptable(
    operation: Operation, found: Entitlements, *, by_start: bool = True
) -> tuple[list[records.Entitlement], list[str]]:
    """Those that this operation can have made, and the serials of the rest."""
    with acting_as(JOURNAL):
        not_ours = set(foreign_serials(operation, [record.serial_number for record in found]))
    if by_start:
        not_ours |= {record.serial_number for record in found if _started_before(record, operation)}
    kept = [record for record in found if record.serial_number not in not_ours]
    return kept, sorted(not_ours)


def _started_before(record: records.Entitlement, operation: Operation) -> bool:
    """True if FortiFlex says that it stood there before we sent anything. A start that can't be read proves nothing."""
    if operation.sent_at is None:
        return True
    try:
        started = parse_wire_time(record.start_text).astimezone(UTC)
    except ValueError:
        return False
    return started < operation.sent_at - CLOCK_TOLERANCE


def _finding_without_tag(operation: Operation, here: Entitlements, *, asked: int, listed: int) -> Finding:
    """Without a tag only "it was not there before" tells ours from a stranger's, so the account must have been mirrored before."""
    found, left = _adoptable(operation, here)
    seen = {"looked_at": f"entitlements/list of config {operation.config_id}", "listed": listed, "not_adopted": left}
    with acting_as(JOURNAL):
        known_before = ProgramAccount.objects.filter(
            program_id=operation.program_serial, account_id=operation.account_id, first_seen_at__lt=operation.sent_at
        ).exclude(mirrored_at__isnull=True)
        blind = not known_before.exists()
    if found and blind:
        return Finding(
            Verdict.UNCLEAR,
            seen=seen | {"why": "the account was never mirrored, so nobody knows what was there before"},
        )
    return _verdict(found, asked=asked, seen=seen)


def _verdict(found: list[records.Entitlement], *, asked: int, seen: dict[str, Any]) -> Finding:
    seen = seen | {"found": [record.serial_number for record in found], "asked": asked}
    if seen.get("not_adopted"):
        # Something stands there that may be this operation's and may not be taken: "nothing was made" would be a guess.
        return Finding(Verdict.UNCLEAR, seen=seen | {"why": "it is there, and belongs to somebody or was there before"})
    if not found:
        return Finding(Verdict.ABSENT, seen=seen)
    if len(found) > asked:
        return Finding(Verdict.UNCLEAR, seen=seen | {"why": "more were found than were asked for"})
    return Finding(Verdict.DONE if len(found) == asked else Verdict.PARTLY, value=found, seen=seen)
