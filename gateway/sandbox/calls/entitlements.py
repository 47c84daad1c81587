"""entitlements/*: the state machine of FortiFlex API reference 3.3."""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from gateway.sandbox import checks
from gateway.sandbox.calls.call import Call
from gateway.sandbox.catalogue import CLOUD, HARDWARE, PRODUCTS, VM
from gateway.sandbox.clock import pacific_day, pacific_midnight, write_stop_time
from gateway.sandbox.points import consumed_before
from gateway.sandbox.refusals import Refusal
from gateway.sandbox.show import show_entitlement, status_of
from gateway.sandbox.world import Config, Entitlement, EntitlementChange, Program


def list_entitlements(call: Call) -> dict[str, Any]:
    config_id = checks.whole(call.body, "configId")
    if config_id is not None:
        config = call.config()
        chosen = [item for item in call.world.entitlements if item.now.config_id == config.id]
    else:
        program, account_id = call.program(), call.account()
        configs = {config.id for config in call.world.configs if config.program == program.serial_number}
        chosen = [
            item
            for item in call.world.entitlements
            if item.now.account_id == account_id and item.now.config_id in configs
        ]
    filters = {name: checks.text(call.body, name) for name in ("serialNumber", "status", "tokenStatus", "description")}
    shown = [show_entitlement(item, call.now) for item in chosen if not item.removed and item.visible_from <= call.now]
    return {
        "entitlements": [
            row for row in shown if all(want is None or row[name] == want for name, want in filters.items())
        ]
    }


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
    end, description = _end(call, program), checks.text(call.body, "description")
    prefix = PRODUCTS[config.product_type_id].serial_prefix
    made = [
        _add(call, config, _next_serial(call, prefix), status, end, description, folder, token=True)
        for _ in range(count)
    ]
    return {"entitlements": [show_entitlement(item, call.now) for item in made]}


def create_hardware(call: Call) -> dict[str, Any]:
    config, program = _usable_config(call, HARDWARE)
    wanted, end = checks.serials(call.body), _end(call, program)
    if any(call.world.entitlement(serial) is not None for serial in wanted):
        raise Refusal("Serial number is already in use.")
    made = [
        _revive(call, config, serial, end) or _add(call, config, serial, "ACTIVE", end, None, "My Assets")
        for serial in wanted
    ]
    return {"entitlements": [show_entitlement(item, call.now) for item in made]}


def remove_hardware(call: Call) -> dict[str, Any]:
    chosen = [call.entitlement(serial) for serial in checks.serials(call.body)]
    if any(PRODUCTS[_config_of(call, item).product_type_id].form != HARDWARE for item in chosen):
        raise Refusal("Only hardware entitlements can be removed.")
    for item in chosen:
        if item.now.status == "ACTIVE":
            item.changes.append(replace(item.now, at=call.now, status="STOPPED"))
        item.removed = True
    return {}


def create_cloud(call: Call) -> dict[str, Any]:
    config, program = _usable_config(call, CLOUD)
    for item in call.world.entitlements:
        other = _config_of(call, item)
        if (
            not item.removed
            and other.product_type_id == config.product_type_id
            and item.now.account_id == config.account_id
        ):
            raise Refusal("Only one entitlement of this product is allowed per account.")
    serial = _next_serial(call, PRODUCTS[config.product_type_id].serial_prefix)
    description, folder = checks.text(call.body, "description"), checks.text(call.body, "folderPath") or "My Assets"
    made = _add(call, config, serial, "ACTIVE", _end(call, program), description, folder)
    return {"entitlements": [show_entitlement(made, call.now)]}


def update_entitlement(call: Call) -> dict[str, Any]:
    item = call.entitlement()
    status = status_of(item, call.now)
    if status == "EXPIRED":
        raise Refusal("An expired entitlement cannot be updated.")
    config_id = checks.required_whole(call.body, "configId")
    target, current = call.config(), _config_of(call, item)
    if (target.product_type_id, target.account_id, target.program) != (
        current.product_type_id,
        current.account_id,
        current.program,
    ):
        raise Refusal("The configuration is not valid for this entitlement.")
    program, description = call.world.program(target.program), checks.text(call.body, "description")
    if call.body.get("endDate") and program is not None:
        end = _end(call, program)
        if status == "STOPPED" and end != item.end and pacific_day(end) != pacific_day(item.end):
            raise Refusal("The end date of a stopped entitlement cannot be changed.")
        if status != "STOPPED":
            item.end = end
    if "description" in call.body:
        item.description = description
    if config_id != item.now.config_id:
        item.changes.append(replace(item.now, at=call.now, config_id=config_id))
    return {"entitlements": [show_entitlement(item, call.now)]}


def stop_entitlement(call: Call) -> dict[str, Any]:
    item = call.entitlement()
    if status_of(item, call.now) != "ACTIVE":
        raise Refusal("Only an active entitlement can be stopped.")
    item.changes.append(replace(item.now, at=call.now, status="STOPPED"))
    item.end = call.now
    return {_key(call): [show_entitlement(item, call.now, end_text=write_stop_time(call.now))]}


def reactivate_entitlement(call: Call) -> dict[str, Any]:
    item = call.entitlement()
    if status_of(item, call.now) != "STOPPED":
        error = {"errorCode": -1, "message": "Entitlement is not stopped."}
        raise Refusal("The entitlement cannot be reactivated.", error=error)
    program = call.world.program(_config_of(call, item).program)
    item.changes.append(replace(item.now, at=call.now, status="ACTIVE"))
    item.end = program.end if program else item.end
    return {_key(call): [show_entitlement(item, call.now)]}


def renew_token(call: Call) -> dict[str, Any]:
    item = call.entitlement()
    if item.token is None or status_of(item, call.now) not in {"PENDING", "ACTIVE", "STOPPED"}:
        raise Refusal("A token cannot be generated for this entitlement.")
    item.token, item.token_status = _new_token(), "NOTUSED"
    return {"entitlements": [show_entitlement(item, call.now)]}


def transfer(call: Call) -> dict[str, Any]:
    source, target = call.account("sourceAccountId"), call.account("targetAccountId")
    source_config = call.config("sourceConfigId")
    chosen = [call.entitlement(serial) for serial in checks.serials(call.body)]
    if any(item.now.account_id != source or item.now.config_id != source_config.id for item in chosen):
        raise Refusal("Serial numbers do not belong to the source configuration.")
    if call.body.get("targetConfigId") is None:
        target_config = replace(
            source_config, id=call.world.next_config_id, account_id=target, changes=[source_config.now]
        )
        call.world.next_config_id += 1
        call.world.configs.append(target_config)
    else:
        target_config = call.config("targetConfigId")
        if target_config.account_id != target or target_config.product_type_id != source_config.product_type_id:
            raise Refusal("The target configuration is not valid.")
    for item in chosen:
        item.changes.append(EntitlementChange(call.now, target_config.id, target, item.now.status))
    return {"entitlements": [show_entitlement(item, call.now) for item in chosen]}


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


def _end(call: Call, program: Program) -> datetime:
    end = checks.moment(call.body, "endDate")
    if end is None:
        return program.end
    if end < pacific_midnight(pacific_day(call.now)) or end > program.end:
        raise Refusal("endDate must be between today and the end of the program.")
    return end


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
        token=_new_token() if token else None,
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


def _new_token() -> str:
    return secrets.token_hex(10).upper()


def _config_of(call: Call, item: Entitlement) -> Config:
    config = call.world.config(item.now.config_id)
    if config is None:
        raise Refusal("Configuration not found.")
    return config


def _key(call: Call) -> str:
    return "vms" if call.settings.vms_key else "entitlements"
