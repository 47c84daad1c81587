"""configs/*."""

from typing import Any

from gateway.sandbox import checks
from gateway.sandbox.calls.call import Call
from gateway.sandbox.refusals import Refusal
from gateway.sandbox.show import show_config
from gateway.sandbox.world import Config, ConfigChange


def list_configs(call: Call) -> dict[str, Any]:
    program, account_id = call.program(), checks.whole(call.body, "accountId")
    if account_id is not None and not call.reaches(account_id):
        raise Refusal("Authorization denied.", http_status=401)
    return {
        "configs": [
            show_config(config)
            for config in call.world.configs
            if config.program == program.serial_number
            and (config.account_id == account_id if account_id is not None else call.reaches(config.account_id))
        ]
    }


def create_config(call: Call) -> dict[str, Any]:
    program = call.program()
    account_id = (
        program.account_id
        if call.body.get("accountId") is None and call.reaches(program.account_id)
        else call.account()
    )
    name = checks.required_text(call.body, "name")
    if any(config.name == name and config.account_id == account_id for config in call.world.configs):
        raise Refusal("A configuration with the same name already exists.")
    product_type_id = checks.required_whole(call.body, "productTypeId")
    values = checks.check_parameters(product_type_id, checks.read_parameters(call.body))
    change = ConfigChange(call.now, values, "ACTIVE")
    config = Config(call.world.next_config_id, name, program.serial_number, account_id, product_type_id, [change])
    call.world.next_config_id += 1
    call.world.configs.append(config)
    return _one(call, config)


def update_config(call: Call) -> dict[str, Any]:
    config = call.config("id")
    name = checks.text(call.body, "name")
    if name and any(
        c.name == name and c.account_id == config.account_id and c is not config for c in call.world.configs
    ):
        raise Refusal("A configuration with the same name already exists.")
    if call.body.get("parameters") is not None:
        before = config.now.parameters
        values = checks.check_parameters(config.product_type_id, checks.read_parameters(call.body), before=before)
        config.changes.append(ConfigChange(call.now, values, config.now.status))
    config.name = name or config.name
    return _one(call, config)


def enable_config(call: Call) -> dict[str, Any]:
    return _switch(call, "ACTIVE")


def disable_config(call: Call) -> dict[str, Any]:
    return _switch(call, "DISABLED")


def _switch(call: Call, status: str) -> dict[str, Any]:
    config = call.config("id")
    if config.now.status != status:
        config.changes.append(ConfigChange(call.now, config.now.parameters, status))
    return _one(call, config)


def _one(call: Call, config: Config) -> dict[str, Any]:
    shown = show_config(config)
    return {"configs": [shown] if call.settings.config_as_list else shown}
