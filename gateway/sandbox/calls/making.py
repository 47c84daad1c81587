"""entitlements/vm/create, hardware/create, cloud/create: how entitlements come into being."""

from datetime import datetime, timedelta
from typing import Any

from gateway.sandbox import checks
from gateway.sandbox.calls.call import Call
from gateway.sandbox.calls.standing import config_of, end_of, new_token
from gateway.sandbox.catalogue import CLOUD, HARDWARE, PRODUCTS, VM
from gateway.sandbox.clock import pacific_day
from gateway.sandbox.points import consumed_before
from gateway.sandbox.refusals import Refusal
from gateway.sandbox.show import show_entitlement
from gateway.sandbox.world import Config, Entitlement, EntitlementChange, Program


def create_vm(call: Call) -> dict[str, Any]:
    config, program = _usable_config(call, VM)
    count = checks.whole(call.body, "count")
    count = 1 if count is None else count
    if not 1 <= count <= 100:
        raise Refusal("Invalid value for count.")
    folder = checks.text(call.body, "folderPath") or "My Assets"
    if not folder.startswith("My Assets"):
        raise Refusal("Invalid value for folderPath.")
    status = "ACTIVE" if call.body.get("skipPending") is True else "PENDING"
    end, description = end_of(call, program), checks.text(call.body, "description")
    prefix = PRODUCTS[config.product_type_id].serial_prefix
    made = [
        _add(call, config, _next_serial(call, prefix), status, end, description, folder, token=True)
        for _ in range(count)
    ]
    return {"entitlements": [show_entitlement(item, call.now) for item in made]}


def create_hardware(call: Call) -> dict[str, Any]:
    config, program = _usable_config(call, HARDWARE)
    wanted, end = checks.serials(call.body), end_of(call, program)
    if any(call.world.entitlement(serial) is not None for serial in wanted):
        raise Refusal("Serial number is already in use.")
    made = [
        _revive(call, config, serial, end) or _add(call, config, serial, "ACTIVE", end, None, "My Assets")
        for serial in wanted
    ]
    return {"entitlements": [show_entitlement(item, call.now) for item in made]}


def create_cloud(call: Call) -> dict[str, Any]:
    config, program = _usable_config(call, CLOUD)
    for item in call.world.entitlements:
        other = config_of(call, item)
        if (
            not item.removed
            and other.product_type_id == config.product_type_id
            and item.now.account_id == config.account_id
        ):
            raise Refusal("Only one entitlement of this product is allowed per account.")
    serial = _next_serial(call, PRODUCTS[config.product_type_id].serial_prefix)
    description, folder = checks.text(call.body, "description"), checks.text(call.body, "folderPath") or "My Assets"
    made = _add(call, config, serial, "ACTIVE", end_of(call, program), description, folder)
    return {"entitlements": [show_entitlement(made, call.now)]}


def _usable_config(call: Call, form: str) -> tuple[Config, Program]:
    config = call.config()
    program = call.world.program(config.program)
    if PRODUCTS[config.product_type_id].form != form or config.now.status != "ACTIVE" or program is None:
        raise Refusal("The configuration is not valid for this request.")
    if call.now >= program.end:
        raise Refusal("The program has expired.")
    if program.point_balance is not None:
        consumed = consumed_before(call.world, program.serial_number, pacific_day(call.now))
        if program.point_balance <= consumed:
            raise Refusal("The point balance is not sufficient.")
    return config, program


def _add(
    call: Call,
    config: Config,
    serial: str,
    status: str,
    end: datetime,
    description: str | None,
    folder: str,
    *,
    token: bool = False,
) -> Entitlement:
    item = Entitlement(
        serial_number=serial,
        description=description,
        start=call.now,
        end=end,
        token=new_token() if token else None,
        token_status="NOTUSED" if token else None,
        folder_path=folder,
        visible_from=call.now + timedelta(seconds=call.settings.appear_after_seconds),
        changes=[EntitlementChange(call.now, config.id, config.account_id, status)],
    )
    call.world.entitlements.append(item)
    return item


def _revive(call: Call, config: Config, serial: str, end: datetime) -> Entitlement | None:
    """A device that was removed and is registered again stays one serial with one history."""
    item = next((old for old in call.world.entitlements if old.serial_number == serial and old.removed), None)
    if item is None:
        return None
    item.removed, item.end = False, end
    item.changes.append(EntitlementChange(call.now, config.id, config.account_id, "ACTIVE"))
    return item


def _next_serial(call: Call, prefix: str) -> str:
    number = call.world.next_serial
    call.world.next_serial += 1
    return f"{prefix}{number:0{16 - len(prefix)}}"
