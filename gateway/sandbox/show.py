"""Objects as FortiFlex shows them (FortiFlex API reference, section 3)."""

from datetime import datetime
from typing import Any

from gateway.sandbox.catalogue import PRODUCTS
from gateway.sandbox.clock import write_time
from gateway.sandbox.world import Config, Entitlement, Program


def show_program(program: Program) -> dict[str, Any]:
    return {
        "accountId": program.account_id,
        "serialNumber": program.serial_number,
        "startDate": write_time(program.start),
        "endDate": write_time(program.end),
        "hasSupportCoverage": True,
    }


def show_config(config: Config) -> dict[str, Any]:
    product = PRODUCTS[config.product_type_id]
    codes = {parameter.id: parameter.code for parameter in product.parameters}
    return {
        "id": config.id,
        "name": config.name,
        "programSerialNumber": config.program,
        "accountId": config.account_id,
        "status": config.now.status,
        "productType": {"id": product.id, "name": product.name},
        "parameters": [{"id": id, "name": codes[id], "value": value} for id, value in config.now.parameters],
    }


def status_of(entitlement: Entitlement, now: datetime) -> str:
    status = entitlement.now.status
    return "EXPIRED" if status in {"PENDING", "ACTIVE"} and now >= entitlement.ends_at else status


def show_entitlement(entitlement: Entitlement, now: datetime, *, end_text: str | None = None) -> dict[str, Any]:
    return {
        "serialNumber": entitlement.serial_number,
        "configId": entitlement.now.config_id,
        "accountId": entitlement.now.account_id,
        "description": entitlement.description,
        "startDate": write_time(entitlement.start),
        "endDate": end_text or write_time(entitlement.end),
        "status": status_of(entitlement, now),
        "token": entitlement.token,
        "tokenStatus": entitlement.token_status,
    }
