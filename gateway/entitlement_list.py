"""The entitlement list's reading side: one values() query with its filters, and the row as the API shows it."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

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
    "first_seen_at",
    "vanished_at",
)
UNASSIGNED = "unassigned"


def list_entitlements(actor: Actor) -> "QuerySet[Entitlement]":
    """What `actor` sees; read it with values(*COLUMNS) and give the rows to `add_freshness` before they are rendered."""
    return Entitlement.objects.visible_to(actor)


def add_freshness(rows: Sequence[dict[str, Any]]) -> None:
    """`seen_at` of every row: as fresh as its account's last complete pass, or as its own last write. One query for all of a page.

    Not a subquery per row: whether a tenant may see an account's freshness is a question to PostgreSQL each time.
    """
    programs, accounts = {row["program_id"] for row in rows}, {row["account_id"] for row in rows}
    known = ProgramAccount.objects.filter(program_id__in=programs, account_id__in=accounts)
    mirrored = {(p, a): at for p, a, at in known.values_list("program_id", "account_id", "mirrored_at")}
    for row in rows:
        seen = mirrored.get((row["program_id"], row["account_id"]))
        row["seen_at"] = row["vanished_at"] or max(filter(None, (row["first_seen_at"], seen)))


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
