"""programs/*."""

from typing import Any

from gateway.sandbox.calls.call import Call
from gateway.sandbox.clock import pacific_day
from gateway.sandbox.points import consumed_before
from gateway.sandbox.refusals import Refusal
from gateway.sandbox.show import show_program


def list_programs(call: Call) -> dict[str, Any]:
    """Programs of accounts that the caller reaches, and those under which it has configs (the root registers them for all)."""
    used = {config.program for config in call.world.configs if call.reaches(config.account_id)}
    programs = [p for p in call.world.programs if call.reaches(p.account_id) or p.serial_number in used]
    return {"programs": [show_program(program) for program in programs]}


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
