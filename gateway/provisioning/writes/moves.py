"""Transfers between accounts, and removing hardware. Target states: whether they were done is read back."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from gateway.days import today
from gateway.fortiflex.client import FortiFlexClient
from gateway.fortiflex.records import Answer
from gateway.models import Attempt, Entitlement, Operation
from gateway.operations import Plan
from gateway.placements import place
from gateway.provisioning.writes.write import Finding, Stored, Verdict, WrongAnswer
from tenants import clock


def plan_transfer(rows: Sequence[Entitlement], *, api_user_id: UUID, target_config: int, target_account: int) -> Plan:
    """The plan that moves `rows`, all under one config, to another account's."""
    first = rows[0]
    return Plan(
        kind=Operation.Kind.TRANSFER,
        tenant_id=first.tenant_id,
        api_user_id=api_user_id,
        program_serial=first.program_id,
        account_id=first.account_id,
        config_id=first.config_id,
        serial_numbers=[row.serial_number for row in rows],
        intent={
            "source_account": first.account_id,
            "target_account": target_account,
            "target_config": target_config,
        },
        before={"config": first.config_id, "account_id": first.account_id},
    )


class Transfer:
    """entitlements/transfer. Answers points rows or entitlements (reference 2.4): only the serials are read, the rest did not change."""

    def build_request(self, operation: Operation, tag: str) -> dict[str, Any]:
        intent = operation.intent
        return {
            "source_account_id": intent["source_account"],
            "source_config_id": operation.config_id,
            "target_account_id": intent["target_account"],
            "target_config_id": intent["target_config"],
            "serial_numbers": operation.serial_numbers,
        }

    def send(self, client: FortiFlexClient, request: dict[str, Any]) -> Answer[list[str]]:
        return client.transfer_entitlements(**request)

    def store(self, operation: Operation, value: Collection[str]) -> Stored:
        asked = operation.serial_numbers
        if set(value) - set(asked):
            raise WrongAnswer(f"The answer names {', '.join(sorted(set(value) - set(asked)))}, which nobody asked for.")
        intent = operation.intent
        for row in Entitlement.objects.select_for_update().filter(serial_number__in=value).order_by("pk"):
            row.account_id, row.config_id = intent["target_account"], intent["target_config"]
            row.save(update_fields=["account_id", "config"])
            place(row, on=today())
        return Stored(sorted(value), intent["target_config"], missing=len(asked) - len(set(value)))

    def look(self, client: FortiFlexClient, operation: Operation, attempt: Attempt) -> Finding:
        intent = operation.intent
        listed = client.list_entitlements(config_id=intent["target_config"]).value
        there = sorted({record.serial_number for record in listed} & set(operation.serial_numbers))
        seen = {"looked_at": f"entitlements/list of config {intent['target_config']}", "found": there}
        if len(there) == len(operation.serial_numbers):
            return Finding(Verdict.DONE, value=there, seen=seen)
        if there:
            return Finding(Verdict.PARTLY, value=there, seen=seen)
        source = client.list_entitlements(config_id=operation.config_id).value
        stayed = sorted({record.serial_number for record in source} & set(operation.serial_numbers))
        return Finding(Verdict.ABSENT if stayed else Verdict.UNSEEN, seen=seen | {"still_there": stayed})


class RemoveHardware:
    """entitlements/hardware/remove. Answers the envelope alone."""

    def build_request(self, operation: Operation, tag: str) -> dict[str, Any]:
        return {"serial_numbers": operation.serial_numbers}

    def send(self, client: FortiFlexClient, request: dict[str, Any]) -> Answer[None]:
        return client.remove_hardware_entitlements(request["serial_numbers"])

    def store(self, operation: Operation, value: Any) -> Stored:
        """`value`: the serials that are gone; None = all of them, as the answer says. They stay their owner's: their days are billed."""
        gone = operation.serial_numbers if value is None else value
        rows = Entitlement.objects.filter(serial_number__in=gone, vanished_at__isnull=True)
        rows.update(vanished_at=clock.now())
        return Stored(sorted(gone), operation.config_id, missing=len(operation.serial_numbers) - len(gone))

    def look(self, client: FortiFlexClient, operation: Operation, attempt: Attempt) -> Finding:
        listed = client.list_entitlements(
            account_id=operation.account_id, program_serial=operation.program_serial
        ).value
        gone = sorted(set(operation.serial_numbers) - {record.serial_number for record in listed})
        seen = {"looked_at": f"entitlements/list of {operation.program_serial}/{operation.account_id}", "gone": gone}
        if len(gone) == len(operation.serial_numbers):
            return Finding(Verdict.DONE, value=gone, seen=seen, by_absence=True)
        return Finding(Verdict.PARTLY, value=gone, seen=seen) if gone else Finding(Verdict.ABSENT, seen=seen)
