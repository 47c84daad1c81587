"""A document's content as it is printed, exported and hashed: plain values in one fixed form."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from billing.models import Statement, StatementLine
from billing.money import round_amount
from billing.rating import Figures, Tax
from tenants.models import Tenant

LINE_FIELDS = (
    "kind",
    "serial_number",
    "product",
    "description",
    "quantity",
    "unit",
    "days",
    "points",
    "unit_price",
    "amount",
    "tax_category",
    "service_from",
    "service_to",
)


def describe_tax(tax: Tax) -> dict[str, Any]:
    return {
        "category": tax.category,
        "rate": str(tax.rate),
        "base": str(tax.base),
        "amount": str(tax.amount),
        "reason": tax.reason,
    }


def describe_line(line: Any, currency: str) -> dict[str, Any]:
    """A stored or rated line with the names of the API."""
    described = {"id": getattr(line, "id", None)} | {name: getattr(line, name) for name in LINE_FIELDS}
    return described | {"amount": in_currency(line.amount, currency)}


def describe_statement(statement: Statement, lines: list[StatementLine]) -> dict[str, Any]:
    """An issued document as the API shows it."""
    return {
        "number": statement.number,
        "kind": statement.kind,
        "tenant": statement.tenant.slug,
        "period": {"from": statement.period_from, "to": statement.period_to},
        "currency": statement.currency,
        "status": statement.status,
        "issued_at": statement.issued_at,
        "due_on": statement.due_on,
        "seller": statement.seller,
        "buyer": statement.buyer,
        "references": statement.references,
        "rounding_rule": statement.rounding_rule,
        "lines": [describe_line(line, statement.currency) for line in lines],
        "net": in_currency(statement.net, statement.currency),
        "taxes": statement.taxes,
        "total": in_currency(statement.total, statement.currency),
        "hash": statement.hash,
        "previous_hash": statement.previous_hash,
    }


def in_currency(amount: Decimal, currency: str) -> Decimal:
    """The stored amount with as many digits as the currency prints; nothing is lost, since it was rounded to them."""
    return round_amount(amount, currency)


def hash_document(content: Mapping[str, Any], previous_hash: str) -> str:
    """SHA-256 over the content's canonical JSON (sorted names, exact decimal texts, no ids of ours) and the predecessor's hash."""
    canonical = json.dumps(_canonical(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{previous_hash}\n{canonical}".encode()).hexdigest()


def hashed_content(document: Mapping[str, Any]) -> dict[str, Any]:
    """What of a described statement the hash covers: all but the hashes, the status and the lines' ids."""
    kept = {name: value for name, value in document.items() if name not in {"hash", "previous_hash", "status"}}
    kept["lines"] = [{name: value for name, value in line.items() if name != "id"} for line in document["lines"]]
    return kept


def _canonical(value: Any) -> Any:
    match value:
        case Decimal():
            # Stored and computed decimals differ in trailing zeros; their value is what is signed.
            return format(value.normalize(), "f")
        case datetime():
            return value.isoformat()
        case date():
            return value.isoformat()
        case Mapping():
            return {str(name): _canonical(item) for name, item in value.items()}
        case list() | tuple():
            return [_canonical(item) for item in value]
        case _:
            return value


def describe_buyer(tenant: Tenant) -> dict[str, Any]:
    """The tenant as the document prints it, copied: later changes of the tenant change no document."""
    profile = tenant.billing_profile
    printed = ("address", "country", "email", "tax_id")
    return {
        "name": profile.get("name") or tenant.name,
        "customer_code": tenant.customer_code,
        **{name: profile[name] for name in printed if profile.get(name)},
    }


def describe_draft(tenant: Tenant, figures: Figures, *, header: Mapping[str, Any]) -> dict[str, Any]:
    """The same form for a draft, which has no number, no hash and no ids."""
    return {
        **header,
        "tenant": tenant.slug,
        "currency": tenant.currency,
        "buyer": describe_buyer(tenant),
        "lines": [describe_line(line, tenant.currency) for line in figures.lines],
        "net": figures.net,
        "taxes": [describe_tax(tax) for tax in figures.taxes],
        "total": figures.total,
    }
