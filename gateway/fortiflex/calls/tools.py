"""entitlements/points, groups/* and tools/*: what only reads."""

from collections.abc import Sequence
from datetime import date

from gateway.fortiflex import records, wire
from gateway.fortiflex.caller import Caller
from gateway.fortiflex.calls.payloads import only_given, read_one
from gateway.fortiflex.days import format_wire_day
from gateway.fortiflex.records import Answer


class ToolCalls(Caller):
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
        payload = only_given(
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

    def list_groups(self, *, account_id: int | None = None) -> Answer[list[records.Group]]:
        """groups/list of v2 with an account, of v1 without (as Fortinet's own clients do)."""
        path = "groups/list" if account_id is not None else "v1/groups/list"
        payload = only_given(accountId=account_id)
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
        payload = only_given(
            folderPath=folder_path, configId=config_id, accountId=account_id, status=status and list(status)
        )
        return self.call(
            "groups/nexttoken", payload, lambda e: wire.read_entitlement(read_one(e, "entitlements", "vms"))
        )

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
