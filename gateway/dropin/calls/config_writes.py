"""configs/create, update, enable, disable: each answers one config as an object, which is what Ansible reads."""

from typing import Any

from gateway.dropin.envelope import refuse
from gateway.dropin.places import NO_PROGRAM, Asked, find_config, usable_places
from gateway.dropin.repeats import write_once
from gateway.dropin.shapes import show_config
from gateway.models import Program
from gateway.provisioning.configs import create_config, switch_config, update_config
from gateway.reach import REACH
from tenants.context import acting_as


def create(asked: Asked) -> dict[str, Any]:
    """The name gets a suffix upstream that nobody sees here. Without an account: the one that registered the program, or the only one."""
    body, program = asked.body, asked.body.required_text("programSerialNumber")
    values: dict[str, Any] = {
        "program": program,
        "name": body.required_text("name"),
        "product_type_id": body.catalogue_id("productTypeId"),
        "parameters": body.parameters() or [],
        "account_id": _account_for(asked, program, body.whole("accountId")),
    }
    return write_once(
        asked,
        values,
        lambda manner: create_config(asked.actor, tenant=asked.tenant, manner=manner, **values),
        lambda done: _show(asked, done.config_id if done is not None else None),
    )


def update(asked: Asked) -> dict[str, Any]:
    config_id, name, parameters = _config_of(asked), asked.body.text("name") or None, asked.body.parameters() or None
    values = {"id": config_id, "name": name, "parameters": parameters}
    return write_once(
        asked,
        values,
        lambda manner: update_config(asked.actor, config_id, name=name, parameters=parameters, manner=manner),
        lambda _: _show(asked, config_id),
    )


def enable(asked: Asked) -> dict[str, Any]:
    return _switch(asked, enabled=True)


def disable(asked: Asked) -> dict[str, Any]:
    return _switch(asked, enabled=False)


def _switch(asked: Asked, *, enabled: bool) -> dict[str, Any]:
    config_id = _config_of(asked)
    return write_once(
        asked,
        {"id": config_id},
        lambda manner: switch_config(asked.actor, config_id, enabled=enabled, manner=manner),
        lambda _: _show(asked, config_id),
    )


def _config_of(asked: Asked) -> int:
    config_id = asked.body.required_whole("id")
    with acting_as(asked.actor):
        return find_config(asked.actor, config_id).id


def _account_for(asked: Asked, program: str, account: int | None) -> int | None:
    own = {found for serial, found in usable_places(asked.tenant) if serial == program}
    if not own:
        raise refuse(NO_PROGRAM)
    if account is not None:
        return account
    with acting_as(REACH):
        registered = Program.objects.values_list("account_id", flat=True).get(serial_number=program)
    return registered if registered in own else None


def _show(asked: Asked, config_id: int | None) -> dict[str, Any]:
    with acting_as(asked.actor):
        return {"configs": show_config(find_config(asked.actor, config_id or 0), asked.actor)}
