"""entitlements/*: what is there, listed and changed (the state machine of FortiFlex API reference 3.3)."""

from dataclasses import replace
from typing import Any

from gateway.sandbox import checks
from gateway.sandbox.calls.call import Call
from gateway.sandbox.calls.standing import config_of, end_of, new_token
from gateway.sandbox.catalogue import HARDWARE, PRODUCTS
from gateway.sandbox.clock import pacific_day, write_stop_time
from gateway.sandbox.refusals import Refusal
from gateway.sandbox.show import show_entitlement, status_of
from gateway.sandbox.world import EntitlementChange


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


def update_entitlement(call: Call) -> dict[str, Any]:
    item = call.entitlement()
    status = status_of(item, call.now)
    if status == "EXPIRED":
        raise Refusal("An expired entitlement cannot be updated.")
    config_id = checks.required_whole(call.body, "configId")
    target, current = call.config(), config_of(call, item)
    if (target.product_type_id, target.account_id, target.program) != (
        current.product_type_id,
        current.account_id,
        current.program,
    ):
        raise Refusal("The configuration is not valid for this entitlement.")
    program, description = call.world.program(target.program), checks.text(call.body, "description")
    if call.body.get("endDate") and program is not None:
        end = end_of(call, program)
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
    program = call.world.program(config_of(call, item).program)
    item.changes.append(replace(item.now, at=call.now, status="ACTIVE"))
    item.end = program.end if program else item.end
    return {_key(call): [show_entitlement(item, call.now)]}


def renew_token(call: Call) -> dict[str, Any]:
    item = call.entitlement()
    if item.token is None or status_of(item, call.now) not in {"PENDING", "ACTIVE", "STOPPED"}:
        raise Refusal("A token cannot be generated for this entitlement.")
    item.token, item.token_status = new_token(), "NOTUSED"
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


def remove_hardware(call: Call) -> dict[str, Any]:
    chosen = [call.entitlement(serial) for serial in checks.serials(call.body)]
    if any(PRODUCTS[config_of(call, item).product_type_id].form != HARDWARE for item in chosen):
        raise Refusal("Only hardware entitlements can be removed.")
    for item in chosen:
        if item.now.status == "ACTIVE":
            item.changes.append(replace(item.now, at=call.now, status="STOPPED"))
        item.removed = True
    return {}


def _key(call: Call) -> str:
    return "vms" if call.settings.vms_key else "entitlements"
