"""The 22 calls of FortiFlex, one method each (FortiFlex API reference, 2.3 and 2.4). Every one is a POST with a JSON object."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from gateway.fortiflex import records, wire
from gateway.fortiflex.client import Caller, Envelope
from gateway.fortiflex.days import format_wire_day, format_wire_end
from gateway.fortiflex.records import Answer

Entitlements = Answer[list[records.Entitlement]]


class FortiFlexClient(Caller):
    """Lists come back whole: FortiFlex has no paging. Writes have no idempotency key: a lost answer must be looked up, never re-sent."""

    # --- programs ---

    def list_programs(self) -> Answer[list[records.Program]]:
        """programs/list. Not reliable for MSP programs [third party]: programs may have to be entered by hand."""
        return self.call(
            "programs/list", {}, lambda e: [wire.read_program(raw) for raw in wire.read_list(e, "programs")]
        )

    def get_balance(self, program_serial: str) -> Answer[records.ProgramBalance]:
        """programs/points. Prepaid only; a postpaid program is Rejected."""
        payload = {"programSerialNumber": program_serial}
        return self.call("programs/points", payload, lambda e: wire.read_balance(_one(e, "programs")))

    # --- configs ---

    def list_configs(self, program_serial: str, *, account_id: int | None = None) -> Answer[list[records.Config]]:
        """configs/list. Without an account: those of every account of the organisation. Disabled ones are included."""
        payload = _given(programSerialNumber=program_serial, accountId=account_id)
        return self.call(
            "configs/list", payload, lambda e: [wire.read_config(raw) for raw in wire.read_list(e, "configs")]
        )

    def create_config(
        self,
        *,
        program_serial: str,
        name: str,
        product_type_id: int,
        parameters: records.Parameters,
        account_id: int | None = None,
    ) -> Answer[records.Config]:
        """configs/create. Not idempotent. `configs` comes back as an object or an array of one."""
        payload = _given(
            programSerialNumber=program_serial,
            name=name,
            productTypeId=product_type_id,
            parameters=wire.encode_parameters(parameters),
            accountId=account_id,
        )
        return self.call("configs/create", payload, _config, writes=True)

    def update_config(
        self, config_id: int, *, name: str | None = None, parameters: records.Parameters | None = None
    ) -> Answer[records.Config]:
        """configs/update. Re-prices every entitlement of the config. Send the full parameter set: what a partial one does is unknown."""
        encoded = None if parameters is None else wire.encode_parameters(parameters)
        return self.call("configs/update", _given(id=config_id, name=name, parameters=encoded), _config, writes=True)

    def enable_config(self, config_id: int) -> Answer[records.Config]:
        """configs/enable."""
        return self.call("configs/enable", {"id": config_id}, _config, writes=True)

    def disable_config(self, config_id: int) -> Answer[records.Config]:
        """configs/disable. Its entitlements stop consuming points."""
        return self.call("configs/disable", {"id": config_id}, _config, writes=True)

    # --- entitlements ---

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
        payload = _given(
            configId=config_id,
            accountId=account_id,
            programSerialNumber=program_serial,
            serialNumber=serial_number,
            status=status,
            tokenStatus=token_status,
            description=description,
        )
        return self.call("entitlements/list", payload, _entitlements)

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
        payload = _given(
            configId=config_id,
            count=count,
            description=description,
            endDate=end_day and format_wire_end(end_day),
            folderPath=folder_path,
            skipPending=skip_pending or None,
        )
        return self.call("entitlements/vm/create", payload, _entitlements, writes=True)

    def create_hardware_entitlements(
        self, *, config_id: int, serial_numbers: Sequence[str], end_day: date | None = None
    ) -> Entitlements:
        """entitlements/hardware/create. ACTIVE at once. Takes no description: set it by update afterwards."""
        payload = _given(
            configId=config_id, serialNumbers=list(serial_numbers), endDate=end_day and format_wire_end(end_day)
        )
        return self.call("entitlements/hardware/create", payload, _entitlements, writes=True)

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
        payload = _given(
            configId=config_id,
            description=description,
            endDate=end_day and format_wire_end(end_day),
            folderPath=folder_path,
        )
        return self.call("entitlements/cloud/create", payload, _entitlements, writes=True)

    def update_entitlement(
        self, serial_number: str, *, config_id: int, description: str, end_day: date | None = None
    ) -> Entitlements:
        """entitlements/update. Send all fields: what an omitted one does is contradictory in the sources."""
        payload = _given(
            serialNumber=serial_number,
            configId=config_id,
            description=description,
            endDate=end_day and format_wire_end(end_day),
        )
        return self.call("entitlements/update", payload, _entitlements, writes=True)

    def stop_entitlement(self, serial_number: str) -> Entitlements:
        """entitlements/stop. Overwrites endDate with now; consumption ends with the next day."""
        return self.call("entitlements/stop", {"serialNumber": serial_number}, _entitlements, writes=True)

    def reactivate_entitlement(self, serial_number: str) -> Entitlements:
        """entitlements/reactivate. Sets endDate to the program's end; an ACTIVE one is Rejected with an error code."""
        return self.call("entitlements/reactivate", {"serialNumber": serial_number}, _entitlements, writes=True)

    def renew_token(self, serial_number: str) -> Entitlements:
        """entitlements/vm/token. A new licence token each time."""
        return self.call("entitlements/vm/token", {"serialNumber": serial_number}, _entitlements, writes=True)

    def transfer_entitlements(
        self,
        *,
        source_account_id: int,
        source_config_id: int,
        target_account_id: int,
        target_config_id: int | None,
        serial_numbers: Sequence[str],
    ) -> Entitlements:
        """entitlements/transfer. A null target copies the source config into the target account."""
        payload = {
            "sourceAccountId": source_account_id,
            "sourceConfigId": source_config_id,
            "targetAccountId": target_account_id,
            "targetConfigId": target_config_id,
            "serialNumbers": list(serial_numbers),
        }
        return self.call("entitlements/transfer", payload, _entitlements, writes=True)

    def fetch_points(
        self,
        *,
        first: date,
        last: date,
        account_id: int | None = None,
        program_serial: str | None = None,
        config_id: int | None = None,
        serial_number: str | None = None,
    ) -> Answer[list[records.PointsTotal]]:
        """entitlements/points: one total per serial for the range; whether endDate counts is not documented (see gateway.ledger.calibrate).

        Needs `config_id`, or `account_id` and `program_serial`. The whole body is in the answer's exchange.
        """
        payload = _given(
            configId=config_id,
            accountId=account_id,
            programSerialNumber=program_serial,
            serialNumber=serial_number,
            startDate=format_wire_day(first),
            endDate=format_wire_day(last),
        )
        return self.call(
            "entitlements/points",
            payload,
            lambda e: [wire.read_points(raw) for raw in wire.read_list(e, "entitlements", "points")],
        )

    # --- groups ---

    def list_groups(self, *, account_id: int | None = None) -> Answer[list[records.Group]]:
        """groups/list of v2 with an account, of v1 without (as Fortinet's own clients do)."""
        path = "groups/list" if account_id is not None else "v1/groups/list"
        payload = _given(accountId=account_id)
        return self.call(path, payload, lambda e: [wire.read_group(raw) for raw in wire.read_list(e, "groups")])

    def get_next_token(
        self,
        *,
        folder_path: str | None = None,
        config_id: int | None = None,
        account_id: int | None = None,
        status: Sequence[str] | None = None,
    ) -> Answer[records.Entitlement]:
        """groups/nexttoken: the first entitlement with an unused token. It does NOT reserve it."""
        payload = _given(
            folderPath=folder_path, configId=config_id, accountId=account_id, status=status and list(status)
        )
        return self.call("groups/nexttoken", payload, lambda e: wire.read_entitlement(_one(e, "entitlements", "vms")))

    # --- tools ---

    def calculate_points(
        self, *, program_serial: str, product_type_id: int, parameters: records.Parameters
    ) -> Answer[records.Estimate]:
        """tools/calc for one unit: points per day. The price belongs to the program."""
        payload = {
            "programSerialNumber": program_serial,
            "count": 1,
            "productTypeId": product_type_id,
            "parameters": wire.encode_parameters(parameters),
        }
        return self.call("tools/calc", payload, wire.read_estimate)

    def fetch_metadata(self) -> Answer[list[records.ProductType]]:
        """tools/metadata: the live catalogue of product types and parameters."""
        return self.call(
            "tools/metadata", {}, lambda e: [wire.read_product_type(raw) for raw in wire.read_list(e, "productTypes")]
        )


def _given(**fields: Any) -> dict[str, Any]:
    """Only what was given: null and absent are not known to mean the same to FortiFlex."""
    return {name: value for name, value in fields.items() if value is not None}


def _one(envelope: Envelope, *keys: str) -> dict[str, Any]:
    items = wire.read_list(envelope, *keys)
    if len(items) != 1:
        raise wire.UnreadableError(f"Expected one item under {keys[0]}, found {len(items)}.")
    return items[0]


def _config(envelope: Envelope) -> records.Config:
    return wire.read_config(_one(envelope, "configs"))


def _entitlements(envelope: Envelope) -> list[records.Entitlement]:
    return [wire.read_entitlement(raw) for raw in wire.read_list(envelope, "entitlements", "vms")]
