"""entitlements/vm/create, hardware/create, cloud/create: each answers a list of exactly what was asked for."""

from typing import Any

from gateway.catalogue import Form, find_product_type, form_of
from gateway.dropin.body import Body
from gateway.dropin.envelope import not_known_yet, refuse
from gateway.dropin.places import Asked, find_config
from gateway.dropin.repeats import write_once
from gateway.dropin.shapes import read_entitlements
from gateway.models import Operation
from gateway.provisioning.checks import reader_of
from gateway.provisioning.create import Wish, create_entitlements
from tenants.context import acting_as

WRONG_FORM = "The configuration is not valid for this request."


def create_vms(asked: Asked) -> dict[str, Any]:
    body = asked.body
    count = body.whole("count")
    wish = _wish(
        asked, "vm", count=1 if count is None else count, skip_pending=body.flag("skipPending"), **_texts(body)
    )
    return _create(asked, wish)


def create_hardware(asked: Asked) -> dict[str, Any]:
    """FortiFlex takes no description and no folder here, so neither is read."""
    serials = asked.body.texts("serialNumbers")
    if not serials:
        raise refuse("serialNumbers is required.")
    return _create(asked, _wish(asked, "hardware", serial_numbers=tuple(serials)))


def create_cloud(asked: Asked) -> dict[str, Any]:
    if asked.body.whole("count") not in {None, 1}:
        raise refuse("Invalid value for count.")
    return _create(asked, _wish(asked, "cloud", **_texts(asked.body)))


def _wish(asked: Asked, form: Form, **more: Any) -> Wish:
    """FortiFlex has a path for each form, and the config must be of that form."""
    config_id = asked.body.required_whole("configId")
    with acting_as(asked.actor):
        config = find_config(asked.actor, config_id)
    api_user = reader_of(config.program_id, config.account_id)
    if form_of(find_product_type(api_user.api_url, config.product_type_id), config.product_type_id) != form:
        raise refuse(WRONG_FORM)
    return Wish(config=config_id, end_date=asked.body.day("endDate"), **more)


def _texts(body: Body) -> dict[str, Any]:
    return {"description": body.text("description") or "", "folder_path": body.text("folderPath") or None}


def _create(asked: Asked, wish: Wish) -> dict[str, Any]:
    values = {
        "config": wish.config,
        "count": wish.count,
        "serials": wish.serial_numbers,
        "description": wish.description,
        "end": wish.end_date,
        "folder": wish.folder_path,
        "skip": wish.skip_pending,
    }

    def show(done: Operation | None) -> dict[str, Any]:
        if done is None:
            raise not_known_yet()
        with acting_as(asked.actor):
            return {"entitlements": read_entitlements(asked.actor, done.serial_numbers)}

    return write_once(
        asked, values, lambda manner: create_entitlements(asked.actor, wish, tenant=asked.tenant, manner=manner), show
    )
