"""What was asked last, and succeeded, is what stands in FortiFlex."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

from gateway.models import Operation
from gateway.operations import CREATIONS
from gateway.sandbox.clock import pacific_day
from gateway.sandbox.world import Entitlement
from gateway.tags import split_tag
from tests.gateway.write_facts import Facts, slug_of


def check_last_words(facts: Facts, *, given: Collection[str]) -> None:
    """`given`: what the operator handed over."""
    for serial, item in facts.upstream.items():
        told = [row for row in facts.operations if row.state == "succeeded" and serial in row.serial_numbers]
        made = [index for index, row in enumerate(told) if row.kind in CREATIONS]
        if made and not item.removed:
            _check_entitlement(facts, item, told[made[-1] :], was_given=serial in given)
    _check_configs(facts)


def _check_entitlement(facts: Facts, item: Entitlement, told: Sequence[Operation], *, was_given: bool) -> None:
    serial, made = item.serial_number, told[0]
    status = "PENDING" if made.kind == "create_vm" and not made.intent["skip_pending"] else "ACTIVE"
    config, end, stopped_by = made.config_id, made.intent.get("end_day"), None
    text = made.intent["description"]
    for row in told[1:]:
        if row.kind == "stop":
            status, stopped_by = "STOPPED", slug_of(row)
        elif row.kind == "reactivate":
            status = "ACTIVE"
            if stopped_by != slug_of(row):
                end = None  # an end that an owner before had set is not this one's
        elif row.kind == "transfer":
            config = row.intent["target_config"]
        elif row.kind == "update_entitlement":
            config = row.intent.get("config_id") or config
            end = row.intent.get("end_day") or end
            if row.intent.get("description") is not None:
                text = row.intent["description"]
    assert item.now.status == status, f"{serial} is {item.now.status}, and was asked to be {status}: {told}"
    assert item.now.config_id == config, f"{serial} is under {item.now.config_id}, not {config}: {told}"
    if not was_given:  # a text and an end are their owner's, and end with the ownership
        assert split_tag(item.description or "")[0] == text, f"{serial} says {item.description!r}, not {text!r}: {told}"
        assert facts.rows[serial].description == text, (
            f"the mirror has {facts.rows[serial].description!r}, not {text!r}"
        )
        if end is not None and status == "ACTIVE":
            there = pacific_day(item.end)
            assert there == date.fromisoformat(end), f"{serial} ends on {there}, not on {end}: {told}"


def _check_configs(facts: Facts) -> None:
    for config in facts.upstream_configs:
        status, parameters, name = "ACTIVE", None, None
        told = [row for row in facts.operations if row.config_id == config.id and row.state == "succeeded"]
        for row in told:
            if row.kind in {"create_config", "update_config"}:
                parameters, name = row.intent.get("parameters") or parameters, row.intent.get("name") or name
            elif row.kind in {"enable_config", "disable_config"}:
                status = "ACTIVE" if row.kind == "enable_config" else "DISABLED"
        assert config.now.status == status, f"config {config.id} is {config.now.status}, not {status}"
        if parameters is not None:
            assert set(_pairs(parameters)) <= set(config.now.parameters), f"config {config.id} has another size"
        if name is not None:
            assert config.name.split(" ~")[0] == name, f"config {config.id} is called {config.name!r}, not {name!r}"


def _pairs(parameters: Sequence[Any]) -> list[tuple[int, str]]:
    return [(int(item["id"]), str(item["value"])) for item in parameters]
