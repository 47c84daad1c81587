"""Programs, configs and entitlements as FortiFlex shows them (reference, section 3), from the mirror's rows."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from django.db.models import QuerySet
from django.db.models.fields.json import KT

from gateway.fortiflex.days import PACIFIC, format_wire_end, parse_wire_time
from gateway.models import Config, Entitlement, Program
from tenants.actors import Actor

LONGEST_PLAIN_TIME = len("2025-08-06T10:36:29.723")
COLUMNS = (
    "serial_number",
    "config_id",
    "account_id",
    "description",
    "start_text",
    "start_day",
    "end_text",
    "end_day",
    "status",
    "token",
    "token_status",
)


def show_program(program: Program, *, account_id: int) -> dict[str, Any]:
    """`account_id`: one that the caller may use; the one that registered the program may be the operator's."""
    return {
        "accountId": account_id,
        "serialNumber": program.serial_number,
        "startDate": write_time(program.raw.get("startDate"), program.start_day),
        "endDate": write_time(program.raw.get("endDate"), program.end_day),
        "hasSupportCoverage": program.has_support_coverage,
    }


def show_config(row: Config, actor: Actor) -> dict[str, Any]:
    """A config that another tenant made, and that is under an entitlement handed over, does not show its name."""
    foreign = row.tenant_id is not None and row.tenant_id not in actor.tenant_ids
    names = {str(item.get("id")): item.get("name") for item in row.raw.get("parameters") or ()}
    return {
        "id": row.id,
        "name": f"config {row.id}" if foreign else row.name,
        "programSerialNumber": row.program_id,
        "accountId": row.account_id,
        "status": row.status,
        "productType": {"id": row.product_type_id, "name": row.product},
        "parameters": [
            {"id": int(item["id"]), "name": str(names.get(str(item["id"])) or ""), "value": str(item["value"])}
            for item in row.parameters
        ],
    }


def show_entitlements(rows: "QuerySet[Entitlement]", actor: Actor) -> list[dict[str, Any]]:
    """All of `rows` by serial: one query, however many. Licence tokens are for those who may write. Inside `acting_as(actor)`."""
    shows_token = actor.may("entitlements:write")
    texts = rows.annotate(start_text=KT("raw__startDate"), end_text=KT("raw__endDate"))
    return [
        {
            "serialNumber": serial,
            "configId": config_id,
            "accountId": account_id,
            "description": description or None,
            "startDate": write_time(start_text, start_day),
            "endDate": write_time(end_text, end_day),
            "status": status,
            "token": (token or None) if shows_token else None,
            "tokenStatus": token_status or None,
        }
        for (
            serial,
            config_id,
            account_id,
            description,
            start_text,
            start_day,
            end_text,
            end_day,
            status,
            token,
            token_status,
        ) in texts.order_by("serial_number").values_list(*COLUMNS)
    ]


def read_entitlements(actor: Actor, serials: Sequence[str]) -> list[dict[str, Any]]:
    """Those of `serials` that are the actor's today. Inside `acting_as(actor)`."""
    return show_entitlements(Entitlement.objects.visible_to(actor).filter(serial_number__in=serials), actor)


def write_time(text: str | None, day: date | None) -> str | None:
    """The time as FortiFlex wrote it; the form of a stop's answer (seven digits and an offset) as its lists have it: naive Pacific."""
    if not text:
        return format_wire_end(day) if day is not None else None
    if len(text) <= LONGEST_PLAIN_TIME:
        return text
    try:
        moment = parse_wire_time(text).astimezone(PACIFIC)
    except (ValueError, OverflowError):
        return text
    fraction = f"{moment.microsecond // 1000:03}".rstrip("0")
    return f"{moment:%Y-%m-%dT%H:%M:%S}" + (f".{fraction}" if fraction else "")


def show_totals(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"serialNumber": row["serial_number"], "accountId": row["account_id"], "points": row["total"]} for row in rows
    ]
