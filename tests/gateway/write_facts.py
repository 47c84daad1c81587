"""What stands in the journal and what stands in FortiFlex, side by side, once nothing is under way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gateway.models import Assignment, Attempt, Config, Entitlement, Operation
from gateway.sandbox import Sandbox
from gateway.sandbox.calls import WRITES
from gateway.sandbox.state import CallRecord
from gateway.sandbox.world import Config as SandboxConfig
from gateway.sandbox.world import Entitlement as SandboxEntitlement
from tenants.context import acting_as
from tenants.models import Event
from tests.people import SETUP

PATHS = {
    "create_vm": "entitlements/vm/create",
    "create_hardware": "entitlements/hardware/create",
    "create_cloud": "entitlements/cloud/create",
    "update_entitlement": "entitlements/update",
    "stop": "entitlements/stop",
    "reactivate": "entitlements/reactivate",
    "renew_token": "entitlements/vm/token",
    "create_config": "configs/create",
    "update_config": "configs/update",
    "enable_config": "configs/enable",
    "disable_config": "configs/disable",
    "transfer": "entitlements/transfer",
    "remove_hardware": "entitlements/hardware/remove",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """`operations` in the order in which they were sent. `calls`: the sandbox's whole log; `upstream` has what was removed too."""

    operations: Sequence[Operation]
    attempts: Mapping[UUID, Sequence[Attempt]]
    rows: Mapping[str, Entitlement]
    configs: Mapping[int, Config]
    assignments: Sequence[Assignment]
    events: Sequence[Event]
    upstream: Mapping[str, SandboxEntitlement]
    upstream_configs: Sequence[SandboxConfig]
    calls: Sequence[CallRecord]

    def calls_of(self, operation: Operation) -> list[CallRecord]:
        """What reached FortiFlex of an operation, by the moment at which it came: each write belongs to the attempt opened last."""
        own = {attempt.id for attempt in self.attempts.get(operation.id, ())}
        return [call for call, attempt in self.writes() if attempt is not None and attempt.id in own]

    def history(self, serial: str) -> list[str]:
        """What the journal says of a serial, for a message."""
        rows = [row for row in self.operations if serial in row.serial_numbers]
        return [f"{row} of {slug_of(row)}: {row.error or row.intent} {row.evidence}" for row in rows]

    def writes(self) -> list[tuple[CallRecord, Attempt | None]]:
        """Every write that came to FortiFlex with a valid token, and the attempt that sent it."""
        opened = sorted((row for rows in self.attempts.values() for row in rows), key=lambda row: row.sent_at)
        found = []
        for call in self.calls:
            if call.path in WRITES and not was_token_refused(call):
                before = [attempt for attempt in opened if attempt.sent_at <= call.began_at]
                found.append((call, before[-1] if before else None))
        return found


def was_token_refused(call: CallRecord) -> bool:
    """FortiFlex looked at the token and at nothing else."""
    return call.http_status == 401 and not call.api_user and not call.done


def read_facts(sandbox: Sandbox) -> Facts:
    with acting_as(SETUP):
        attempts: dict[UUID, list[Attempt]] = {}
        for attempt in Attempt.objects.order_by("operation", "number"):
            attempts.setdefault(attempt.operation_id, []).append(attempt)
        operations = list(Operation.objects.select_related("tenant"))
        return Facts(
            operations=sorted(operations, key=lambda row: row.sent_at or row.created_at),
            attempts=attempts,
            rows={row.serial_number: row for row in Entitlement.objects.select_related("tenant")},
            configs={row.id: row for row in Config.objects.select_related("tenant")},
            assignments=list(Assignment.objects.select_related("tenant")),
            events=list(Event.objects.select_related("tenant")),
            upstream={item.serial_number: item for item in sandbox.world.entitlements},
            upstream_configs=sandbox.world.configs,
            calls=sandbox.calls,
        )


def slug_of(row: Any) -> str | None:
    return row.tenant.slug if row.tenant else None
