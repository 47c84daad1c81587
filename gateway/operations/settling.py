"""What came of an operation, written down: succeeded, failed, unknown. Inside an open `acting_as` of the gateway or whoever settles it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from gateway.models import Operation
from tenants import clock
from tenants.actors import system
from tenants.audit import record_audit
from tenants.events import record_event
from tenants.last_words import write_last
from tenants.rows import change_of

JOURNAL = system("operations")
State = Operation.State
FIRST_LOOK_SECONDS = 5  # most lost answers are settled by the first look


def settle_succeeded(operation: Operation, *, serial_numbers: Sequence[str], config_id: int | None) -> None:
    operation.serial_numbers = list(serial_numbers)
    operation.config_id = config_id
    _settle(operation, State.SUCCEEDED, None)


def settle_failed(
    operation: Operation, *, code: str, detail: str, upstream: str = "", retry_after: int | None = None
) -> None:
    """`upstream` is FortiFlex's own text, for the operator's eyes; `retry_after` in seconds where waiting helps."""
    error: dict[str, Any] = {"code": code, "detail": detail, "upstream": upstream}
    _settle(operation, State.FAILED, error if retry_after is None else error | {"retry_after": retry_after})


def settle_unknown(operation: Operation, *, reason: str, look_again: bool = True) -> None:
    """`look_again` False = only a person can tell: reconciliation leaves it to `resolve`."""
    first_time = operation.state != State.UNKNOWN
    operation.state = State.UNKNOWN
    operation.next_check_at = clock.now() + timedelta(seconds=FIRST_LOOK_SECONDS) if look_again else None
    add_evidence(operation, {"unknown_because": reason})
    operation.save(update_fields=["state", "next_check_at", "evidence"])
    if first_time:
        tell_operation(operation, "operation.unknown", {})  # the reason may be FortiFlex's own text: the operator's


def add_evidence(operation: Operation, found: Mapping[str, Any]) -> None:
    """Append to the row's evidence; the caller saves it."""
    operation.evidence = [*operation.evidence, {"at": clock.now().isoformat(), **found}]


def _settle(operation: Operation, state: Operation.State, error: dict[str, Any] | None) -> None:
    operation.state, operation.error = state, error
    operation.settled_at, operation.next_check_at = clock.now(), None
    settled = ("state", "error", "settled_at", "next_check_at", "serial_numbers", "config_id", "evidence")
    write_last([change_of(operation, *settled)])
    shown = {} if error is None else {"code": error["code"], "detail": error["detail"]}
    tell_operation(operation, f"operation.{state}", {"entitlements": operation.serial_numbers} | shown)
    record_audit(
        JOURNAL,
        f"operation.{state}",
        subject_type="operation",
        subject_key=operation.id,
        tenant_id=operation.tenant_id,
        after={"serial_numbers": operation.serial_numbers, "config": operation.config_id} | shown,
    )


def tell_operation(operation: Operation, event: str, data: dict[str, Any]) -> None:
    record_event(
        event,
        subject_type="operation",
        subject_key=operation.id,
        tenant_id=operation.tenant_id,
        data={"kind": operation.kind} | data,
    )
