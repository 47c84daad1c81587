"""programs/*."""

from typing import Any

from gateway.dropin.envelope import refuse
from gateway.dropin.places import NO_PROGRAM, Asked, usable_places
from gateway.dropin.shapes import show_program
from gateway.models import Program
from gateway.reach import REACH, is_used_by_one_tenant
from tenants.context import acting_as

POSTPAID = "Point balance is only valid for prepaid programs."


def list_programs(asked: Asked) -> dict[str, Any]:
    """The programs that the tenant may use, each under an account that it may use."""
    places = usable_places(asked.tenant)
    with acting_as(REACH):
        programs = list(Program.objects.filter(serial_number__in={program for program, _ in places}).order_by("pk"))
    return {"programs": [show_program(program, account_id=_account_of(program, places)) for program in programs]}


def read_balance(asked: Asked) -> dict[str, Any]:
    """A balance tells what all under the program consume: it is for a tenant that uses it alone, and looks postpaid to the others."""
    serial = asked.body.required_text("programSerialNumber")
    places = usable_places(asked.tenant)
    if serial not in {program for program, _ in places}:
        raise refuse(NO_PROGRAM)
    with acting_as(REACH):
        program = Program.objects.get(serial_number=serial)
    if program.point_balance is None or not is_used_by_one_tenant(serial, asked.tenant):
        raise refuse(POSTPAID)
    shown = {
        "accountId": _account_of(program, places),
        "serialNumber": serial,
        "pointBalance": program.point_balance,
    }
    return {"programs": [shown]}


def _account_of(program: Program, places: set[tuple[str, int]]) -> int:
    """The account that registered the program, if the tenant may use it; else its own: the operator's is not for it to see."""
    own = sorted(account for serial, account in places if serial == program.serial_number)
    return program.account_id if program.account_id in own else own[0]
