"""entitlements/update, stop, reactivate, vm/token, transfer, hardware/remove. One entitlement comes as a list of one, never under `vms`.

What a transfer or a removal is about is looked up in the verb: where it was done and the answer lost, it is no longer what the repeated
request says, and that request is answered from the journal.
"""

from collections.abc import Mapping
from typing import Any

from gateway.dropin.envelope import refuse
from gateway.dropin.places import NO_ACCOUNT, Asked, find_config, find_entitlement, known_places
from gateway.dropin.repeats import Verb, write_once
from gateway.dropin.shapes import read_entitlements
from gateway.models import Entitlement
from gateway.provisioning.idempotency import Outcome
from gateway.provisioning.licence import renew_token
from gateway.provisioning.manner import Manner
from gateway.provisioning.moves import remove_hardware, transfer_entitlements
from gateway.provisioning.switch import NOT_TO_REACTIVATE, reactivate_entitlement, stop_entitlement
from gateway.provisioning.update import update_entitlement
from tenants.context import acting_as
from tenants.problems import Problem

UNABLE = "Unable to update the entitlement."
NOT_REACTIVATED = "It is active already."
NOT_STOPPED = {"errorCode": -1, "message": "Entitlement is not stopped."}  # Ansible reads errorCode


def update(asked: Asked) -> dict[str, Any]:
    """What is left out or null stays as it is; an empty description clears it."""
    row, body = _entitlement_of(asked), asked.body
    config_id = body.whole("configId")
    given = {"description": body.text("description"), "end_date": body.day("endDate"), "config": config_id}
    changes = {name: value for name, value in given.items() if value is not None}
    if config_id is not None and config_id != row.config_id:
        with acting_as(asked.actor):
            find_config(asked.actor, config_id)
    serial = row.serial_number
    return _change(
        asked, row, changes, lambda manner: update_entitlement(asked.actor, serial, changes=changes, manner=manner)
    )


def stop(asked: Asked) -> dict[str, Any]:
    row = _entitlement_of(asked)
    return _change(asked, row, {}, lambda manner: stop_entitlement(asked.actor, row.serial_number, manner=manner))


def reactivate(asked: Asked) -> dict[str, Any]:
    row = _entitlement_of(asked)

    def verb(manner: Manner) -> Outcome:
        with acting_as(asked.actor):
            if find_entitlement(asked.actor, row.serial_number).status in NOT_TO_REACTIVATE:
                raise refuse(NOT_REACTIVATED, error=NOT_STOPPED)
        return reactivate_entitlement(asked.actor, row.serial_number, manner=manner)

    return _change(asked, row, {}, verb)


def renew(asked: Asked) -> dict[str, Any]:
    row = _entitlement_of(asked)
    return _change(asked, row, {}, lambda manner: renew_token(asked.actor, row.serial_number, manner=manner))


def transfer(asked: Asked) -> dict[str, Any]:
    body = asked.body
    serials, source_account = sorted(_serials_of(asked)), body.required_whole("sourceAccountId")
    source, target_account = body.required_whole("sourceConfigId"), body.required_whole("targetAccountId")
    target = body.whole("targetConfigId")

    def verb(manner: Manner) -> Outcome:
        with acting_as(asked.actor):
            rows = [find_entitlement(asked.actor, serial) for serial in serials]
            for config_id in [source] if target is None else [source, target]:
                find_config(asked.actor, config_id)
            accounts = {account for _, account in known_places(asked)}
        if source_account not in accounts or target_account not in accounts:
            raise refuse(NO_ACCOUNT)
        if any(row.account_id != source_account for row in rows):
            raise refuse("Serial numbers do not belong to the source account.")
        return transfer_entitlements(
            asked.actor,
            serials=serials,
            source_config=source,
            target_account=target_account,
            target_config=target,
            manner=manner,
        )

    places = {"source_account": source_account, "target_account": target_account}
    values = {"serials": serials, "source": source, "target": target, **places}
    return write_once(asked, values, verb, lambda _: _show(asked, serials))


def remove(asked: Asked) -> dict[str, Any]:
    """Answers the envelope alone (reference 2.4)."""
    serials = sorted(_serials_of(asked))

    def verb(manner: Manner) -> Outcome:
        with acting_as(asked.actor):
            for serial in serials:
                find_entitlement(asked.actor, serial)
        return remove_hardware(asked.actor, serials=serials, manner=manner)

    return write_once(asked, {"serials": serials}, verb, lambda _: {})


def _entitlement_of(asked: Asked) -> Entitlement:
    serial = asked.body.required_text("serialNumber")
    with acting_as(asked.actor):
        return find_entitlement(asked.actor, serial)


def _serials_of(asked: Asked) -> list[str]:
    serials = asked.body.texts("serialNumbers")
    if not serials:
        raise refuse("serialNumbers is required.")
    return serials


def _change(asked: Asked, row: Entitlement, values: Mapping[str, Any], verb: Verb) -> dict[str, Any]:
    serial = row.serial_number
    try:
        return write_once(asked, {"serial": serial, **values}, verb, lambda _: _show(asked, [serial]))
    except Problem as problem:
        # Ansible's entitlements_update takes any other text of a failed stop or reactivate for success.
        problem.detail = f"{UNABLE} {problem.detail}"
        raise


def _show(asked: Asked, serials: list[str]) -> dict[str, Any]:
    with acting_as(asked.actor):
        return {"entitlements": read_entitlements(asked.actor, serials)}
