"""Changing one entitlement: update, stop, reactivate, new licence token. Target states: whether they were done is read back."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from django.db.models import Q

from gateway.days import today
from gateway.fortiflex import records
from gateway.fortiflex.client import FortiFlexClient
from gateway.fortiflex.records import Answer
from gateway.models import Attempt, Entitlement, Operation
from gateway.operations import Plan, digest_token
from gateway.provisioning.writes.creates import parse_day
from gateway.provisioning.writes.storing import (
    is_still_theirs,
    store_changed_entitlement,
    store_labels,
    store_text,
)
from gateway.provisioning.writes.write import Finding, Stored, Verdict
from gateway.tags import join_tag, split_tag

Entitlements = Sequence[records.Entitlement]
# FortiFlex takes an end date only in these states (reference 2.4, entitlements/update); elsewhere it stays unsent.
HAS_AN_END_TO_CHANGE = frozenset({"PENDING", "ACTIVE", "GRACE_PERIOD"})


class UpdateEntitlement:
    """entitlements/update with all fields: what an omitted one does is contradictory in the sources."""

    def build_request(self, operation: Operation, tag: str) -> dict[str, Any]:
        row = Entitlement.objects.select_related("tenant").get(serial_number=operation.serial_numbers[0])
        intent = operation.intent
        text = row.description if intent.get("description") is None else intent["description"]
        _, standing = split_tag(row.upstream_description)
        if (
            standing is not None
            and standing.valid
            and standing.tenant_slug == (row.tenant.slug if row.tenant else None)
        ):
            tag = row.upstream_description[-len(tag_text(row.upstream_description)) :]
        end_day = intent.get("end_day")
        if end_day is None and row.end_day is not None and row.status in HAS_AN_END_TO_CHANGE:
            end_day = row.end_day.isoformat()
        return {
            "serial_number": row.serial_number,
            "config_id": intent.get("config_id") or row.config_id,
            "description": join_tag(text, tag),
            "end_day": end_day,
        }

    def send(self, client: FortiFlexClient, request: dict[str, Any]) -> Answer[list[records.Entitlement]]:
        return client.update_entitlement(
            request["serial_number"],
            config_id=request["config_id"],
            description=request["description"],
            end_day=parse_day(request["end_day"]),
        )

    def store(self, operation: Operation, value: Entitlements) -> Stored:
        record = store_changed_entitlement(operation, value)
        intent = operation.intent
        if not is_still_theirs(operation):
            return Stored([record.serial_number], record.config_id)
        if intent.get("description") is not None:
            store_text(record.serial_number, description=intent["description"])
        if intent.get("labels") is not None or intent.get("operator_labels") is not None:
            store_labels(
                record.serial_number, labels=intent.get("labels"), operator_labels=intent.get("operator_labels")
            )
        return Stored([record.serial_number], record.config_id)

    def look(self, client: FortiFlexClient, operation: Operation, attempt: Attempt) -> Finding:
        request = attempt.request

        def is_there(record: records.Entitlement) -> bool:
            wanted_end = operation.intent.get("end_day")
            return (
                record.config_id == request["config_id"]
                and record.description.strip() == request["description"].strip()
                and (wanted_end is None or record.end_day == date.fromisoformat(wanted_end))
            )

        return _read_back(client, operation, is_there)


class Stop:
    """entitlements/stop. Overwrites the end date with now; the operation's `before` remembers it."""

    def build_request(self, operation: Operation, tag: str) -> dict[str, Any]:
        return {"serial_number": operation.serial_numbers[0]}

    def send(self, client: FortiFlexClient, request: dict[str, Any]) -> Answer[list[records.Entitlement]]:
        return client.stop_entitlement(request["serial_number"])

    def store(self, operation: Operation, value: Entitlements) -> Stored:
        record = store_changed_entitlement(operation, value)
        return Stored([record.serial_number], record.config_id)

    def look(self, client: FortiFlexClient, operation: Operation, attempt: Attempt) -> Finding:
        return _read_back(client, operation, lambda record: record.status == "STOPPED")


class Reactivate:
    """entitlements/reactivate. FortiFlex sets the end date to the program's; one that the stop overwrote is put back afterwards."""

    def build_request(self, operation: Operation, tag: str) -> dict[str, Any]:
        return {"serial_number": operation.serial_numbers[0]}

    def send(self, client: FortiFlexClient, request: dict[str, Any]) -> Answer[list[records.Entitlement]]:
        return client.reactivate_entitlement(request["serial_number"])

    def store(self, operation: Operation, value: Entitlements) -> Stored:
        record = store_changed_entitlement(operation, value)
        ends = (
            [] if record.end_day is None else restore_end(operation, config_id=record.config_id, end_day=record.end_day)
        )
        return Stored([record.serial_number], record.config_id, followups=ends)

    def look(self, client: FortiFlexClient, operation: Operation, attempt: Attempt) -> Finding:
        return _read_back(client, operation, lambda record: record.status in {"ACTIVE", "GRACE_PERIOD"})


class RenewToken:
    """entitlements/vm/token. A new licence token each time; the old one's digest tells whether it changed."""

    def build_request(self, operation: Operation, tag: str) -> dict[str, Any]:
        return {"serial_number": operation.serial_numbers[0]}

    def send(self, client: FortiFlexClient, request: dict[str, Any]) -> Answer[list[records.Entitlement]]:
        return client.renew_token(request["serial_number"])

    def store(self, operation: Operation, value: Entitlements) -> Stored:
        record = store_changed_entitlement(operation, value)
        return Stored([record.serial_number], record.config_id)

    def look(self, client: FortiFlexClient, operation: Operation, attempt: Attempt) -> Finding:
        before = operation.before.get("token_digest", "")
        return _read_back(client, operation, lambda record: digest_token(record.token or "") not in {"", before})


def tag_text(upstream: str) -> str:
    """The tag at the end of `upstream`, as it stands there ("" without one)."""
    text, tag = split_tag(upstream)
    return upstream[len(text) :].removeprefix(" ") if tag is not None else ""


def restore_end(operation: Operation, *, config_id: int | None, end_day: date) -> list[Plan]:
    """The write that puts back the end that a stop overwrote, where it lies before `end_day`, which stands there now.

    It is the end that stood when we stopped it, or that was set since: the last stop need not have been ours.
    """
    rows = Operation.objects.filter(state=Operation.State.SUCCEEDED, serial_numbers=operation.serial_numbers)
    sets_an_end = Q(kind=Operation.Kind.UPDATE_ENTITLEMENT, intent__end_day__isnull=False)
    last = rows.filter(Q(kind=Operation.Kind.STOP) | sets_an_end).order_by("-id").first()
    # An end that stood while another owned it is not this one's.
    if last is None or last.tenant_id != operation.tenant_id:
        return []
    told = last.before if last.kind == Operation.Kind.STOP else last.intent
    remembered = parse_day(told.get("end_day"))
    if remembered is None or not today() <= remembered < end_day:
        return []
    return [
        Plan(
            kind=Operation.Kind.UPDATE_ENTITLEMENT,
            tenant_id=operation.tenant_id,
            api_user_id=operation.api_user_id,
            program_serial=operation.program_serial,
            account_id=operation.account_id,
            config_id=config_id,
            serial_numbers=operation.serial_numbers,
            intent={
                "end_day": remembered.isoformat(),
                "because": f"reactivated by {operation.id}",
                "follows": str(operation.id),
            },
        )
    ]


def _read_back(
    client: FortiFlexClient, operation: Operation, is_there: Callable[[records.Entitlement], bool]
) -> Finding:
    serial = operation.serial_numbers[0]
    listed = client.list_entitlements(
        account_id=operation.account_id, program_serial=operation.program_serial, serial_number=serial
    ).value
    found = [record for record in listed if record.serial_number == serial]
    seen: dict[str, Any] = {"looked_at": f"entitlements/list of {serial}"}
    if not found:
        return Finding(Verdict.UNSEEN, seen=seen | {"why": "FortiFlex does not list it"})
    seen |= {"status": found[0].status, "config": found[0].config_id, "end": found[0].end_text}
    if is_there(found[0]):
        return Finding(Verdict.DONE, value=found[:1], seen=seen)
    return Finding(Verdict.ABSENT, seen=seen)
