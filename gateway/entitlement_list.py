"""The entitlement list's reading side: one values() query with its filters, and the row as the API shows it."""

from collections.abc import Mapping
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery, TextField
from django.db.models.functions import Cast, Coalesce, Greatest

from gateway.models import Entitlement, ProgramAccount
from tenants.actors import Actor

COLUMNS = (
    "serial_number",
    "tenant_id",
    "tenant__slug",
    "config_id",
    "account_id",
    "program_id",
    "config__product",
    "description",
    "status",
    "start_day",
    "end_day",
    "token",
    "token_status",
    "labels",
    "operator_labels",
    "seen_at",
)
UNASSIGNED = "unassigned"


def list_entitlements(actor: Actor) -> "QuerySet[Entitlement]":
    """What `actor` sees, with `seen_at`: a row is as fresh as its account's last complete pass, or as its own last write."""
    accounts = ProgramAccount.objects.filter(program_id=OuterRef("program_id"), account_id=OuterRef("account_id"))
    seen = Coalesce("vanished_at", Greatest("first_seen_at", Subquery(accounts.values("mirrored_at")[:1])))
    return Entitlement.objects.visible_to(actor).annotate(seen_at=seen)


def filter_entitlements(rows: "QuerySet[Entitlement]", query: Mapping[str, Any]) -> "QuerySet[Entitlement]":
    """Narrow by tenant, status, config, product, label and search; an unknown or foreign value leaves nothing."""
    if "tenant" in query:
        unassigned = query["tenant"] == UNASSIGNED
        rows = rows.filter(tenant__isnull=True) if unassigned else rows.filter(tenant__slug=query["tenant"])
    if "status" in query:
        rows = rows.filter(status=query["status"].upper())
    if "config" in query:
        rows = rows.filter(config_id=query["config"])
    if "product" in query:
        rows = rows.filter(config__product=query["product"])
    if "label" in query:
        name, given, value = query["label"].partition("=")
        rows = rows.filter(labels__contains={name: value}) if given else rows.filter(labels__has_key=name)
    if "search" in query:
        text = query["search"]
        rows = rows.alias(label_text=Cast("labels", TextField())).filter(
            Q(description__icontains=text) | Q(serial_number__icontains=text) | Q(label_text__icontains=text)
        )
    return rows


def render_entitlement(row: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
    """The licence token is for those who may write; a stopped entitlement's token is of no use and not shown."""
    shows_token = actor.may_on("entitlements:write", row["tenant_id"]) and row["status"] != "STOPPED"
    return {
        "serial_number": row["serial_number"],
        "tenant": row["tenant__slug"],
        "config": row["config_id"],
        "account_id": row["account_id"],
        "program": row["program_id"],
        "product": row["config__product"],
        "description": row["description"],
        "status": row["status"],
        "start_date": row["start_day"],
        "end_date": row["end_day"],
        "token": (row["token"] or None) if shows_token else None,
        "token_status": row["token_status"] or None,
        "labels": row["labels"],
        "operator_labels": row["operator_labels"],
        "seen_at": row["seen_at"],
    }
