"""programs/list and programs/points."""

from gateway.fortiflex import records, wire
from gateway.fortiflex.caller import Caller
from gateway.fortiflex.calls.payloads import read_one
from gateway.fortiflex.records import Answer


class ProgramCalls(Caller):
    def list_programs(self) -> Answer[list[records.Program]]:
        """programs/list. Not reliable for MSP programs [third party]: programs may have to be entered by hand."""
        return self.call(
            "programs/list", {}, lambda e: [wire.read_program(raw) for raw in wire.read_list(e, "programs")]
        )

    def get_balance(self, program_serial: str) -> Answer[records.ProgramBalance]:
        """programs/points. Prepaid only; a postpaid program is Rejected."""
        payload = {"programSerialNumber": program_serial}
        return self.call("programs/points", payload, lambda e: wire.read_balance(read_one(e, "programs")))
