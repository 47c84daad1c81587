"""programs/*."""

from typing import Any

from gateway.sandbox.calls.call import Call
from gateway.sandbox.clock import pacific_day
from gateway.sandbox.points import consumed_before
from gateway.sandbox.refusals import Refusal
from gateway.sandbox.show import show_program


def list_programs(call: Call) -> dict[str, Any]:
    """A member account's local user sees the organisation's programs too: the root registers them for all."""
    return {"programs": [show_program(program) for program in call.world.programs]}


def read_balance(call: Call) -> dict[str, Any]:
    program = call.program()
    if program.point_balance is None:
        raise Refusal("Point balance is only valid for prepaid programs.")
    balance = program.point_balance - consumed_before(call.world, program.serial_number, pacific_day(call.now))
    return {
        "programs": [
            {
                "accountId": program.account_id,
                "serialNumber": program.serial_number,
                "pointBalance": int(balance.to_integral_value()),
            }
        ]
    }
