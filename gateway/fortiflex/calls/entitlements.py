"""entitlements/*: list, the creates, and every change of one."""

from collections.abc import Sequence
from datetime import date

from gateway.fortiflex import records
from gateway.fortiflex.caller import Caller
from gateway.fortiflex.calls.payloads import only_given, read_entitlements, read_serials, read_written
from gateway.fortiflex.days import format_wire_end
from gateway.fortiflex.records import Answer

Entitlements = Answer[list[records.Entitlement]]


class EntitlementCalls(Caller):
    def list_entitlements(
        self,
        *,
        config_id: int | None = None,
        account_id: int | None = None,
        program_serial: str | None = None,
        serial_number: str | None = None,
        status: str | None = None,
        token_status: str | None = None,
        description: str | None = None,
    ) -> Entitlements:
        """entitlements/list. Needs `config_id`, or `account_id` and `program_serial`; the rest are exact filters."""
        payload = only_given(
            configId=config_id,
            accountId=account_id,
            programSerialNumber=program_serial,
            serialNumber=serial_number,
            status=status,
            tokenStatus=token_status,
            description=description,
        )
        return self.call("entitlements/list", payload, read_entitlements)

    def create_vm_entitlements(
        self,
        *,
        config_id: int,
        count: int,
        description: str,
        end_day: date | None = None,
        folder_path: str | None = None,
        skip_pending: bool = False,
    ) -> Entitlements:
        """entitlements/vm/create. NOT idempotent. PENDING until the token is used; with `skip_pending` charged at once."""
        payload = only_given(
            configId=config_id,
            count=count,
            description=description,
            endDate=end_day and format_wire_end(end_day),
            folderPath=folder_path,
            skipPending=skip_pending or None,
        )
        return self.call("entitlements/vm/create", payload, read_written, writes=True)

    def create_hardware_entitlements(
        self, *, config_id: int, serial_numbers: Sequence[str], end_day: date | None = None
    ) -> Entitlements:
        """entitlements/hardware/create. ACTIVE at once. Takes no description: set it by update afterwards."""
        payload = only_given(
            configId=config_id, serialNumbers=list(serial_numbers), endDate=end_day and format_wire_end(end_day)
        )
        return self.call("entitlements/hardware/create", payload, read_written, writes=True)

    def remove_hardware_entitlements(self, serial_numbers: Sequence[str]) -> Answer[None]:
        """entitlements/hardware/remove. Answers the envelope only; preconditions are unknown."""
        payload = {"serialNumbers": list(serial_numbers)}
        return self.call("entitlements/hardware/remove", payload, lambda _: None, writes=True)

    def create_cloud_entitlement(
        self,
        *,
        config_id: int,
        description: str | None = None,
        end_day: date | None = None,
        folder_path: str | None = None,
    ) -> Entitlements:
        """entitlements/cloud/create. One per cloud product and account. Clients also send description and folder [observed]."""
        payload = only_given(
            configId=config_id,
            description=description,
            endDate=end_day and format_wire_end(end_day),
            folderPath=folder_path,
        )
        return self.call("entitlements/cloud/create", payload, read_written, writes=True)

    def update_entitlement(
        self, serial_number: str, *, config_id: int, description: str, end_day: date | None = None
    ) -> Entitlements:
        """entitlements/update. Send all fields: what an omitted one does is contradictory in the sources."""
        payload = only_given(
            serialNumber=serial_number,
            configId=config_id,
            description=description,
            endDate=end_day and format_wire_end(end_day),
        )
        return self.call("entitlements/update", payload, read_written, writes=True)

    def stop_entitlement(self, serial_number: str) -> Entitlements:
        """entitlements/stop. Overwrites endDate with now; consumption ends with the next day."""
        return self.call("entitlements/stop", {"serialNumber": serial_number}, read_written, writes=True)

    def reactivate_entitlement(self, serial_number: str) -> Entitlements:
        """entitlements/reactivate. Sets endDate to the program's end; an ACTIVE one is Rejected with an error code."""
        return self.call("entitlements/reactivate", {"serialNumber": serial_number}, read_written, writes=True)

    def renew_token(self, serial_number: str) -> Entitlements:
        """entitlements/vm/token. A new licence token each time."""
        return self.call("entitlements/vm/token", {"serialNumber": serial_number}, read_written, writes=True)

    def transfer_entitlements(
        self,
        *,
        source_account_id: int,
        source_config_id: int,
        target_account_id: int,
        target_config_id: int | None,
        serial_numbers: Sequence[str],
    ) -> Answer[list[str]]:
        """entitlements/transfer: the serials moved. A null target copies the source config into the target account.

        The vendor's schema answers points rows, its example entitlements: the serials are in both.
        """
        payload = {
            "sourceAccountId": source_account_id,
            "sourceConfigId": source_config_id,
            "targetAccountId": target_account_id,
            "targetConfigId": target_config_id,
            "serialNumbers": list(serial_numbers),
        }
        return self.call("entitlements/transfer", payload, read_serials, writes=True)
