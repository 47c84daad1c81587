"""CSV (RFC 4180, UTF-8, CRLF): a row per document, a row per line, a file per document, and a manifest with every file's SHA-256."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from billing.documents import describe_statement
from billing.models import Statement

DOCUMENT_COLUMNS = [
    "number",
    "kind",
    "tenant",
    "customer_code",
    "buyer",
    "period_from",
    "period_to",
    "currency",
    "issued_at",
    "due_on",
    "net",
    "tax",
    "total",
    "hash",
    "previous_hash",
]
LINE_COLUMNS = [
    "number",
    "line",
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
    "currency",
    "tax_category",
    "service_from",
    "service_to",
]


def write_csv_files(statements: Sequence[Statement], out: Path) -> list[Path]:
    """Write into `out` (made if missing); the paths written. The same documents give the same bytes; each file replaces its old self whole."""
    out.mkdir(parents=True, exist_ok=True)
    files: dict[str, bytes] = {}
    document_rows, all_lines = [], []
    for statement in statements:
        lines = sorted(statement.lines.all(), key=lambda line: line.position)
        described = describe_statement(statement, lines)
        document_rows.append(_document_row(described))
        rows = [_line_row(described, position, line) for position, line in enumerate(described["lines"], start=1)]
        all_lines += rows
        files[f"{statement.number}.csv"] = render_csv(LINE_COLUMNS, rows)
    files["statements.csv"] = render_csv(DOCUMENT_COLUMNS, document_rows)
    files["lines.csv"] = render_csv(LINE_COLUMNS, all_lines)
    manifest = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    files["manifest.json"] = (json.dumps({"sha256": manifest}, indent=2) + "\n").encode()
    return [_replace(out / name, content) for name, content in files.items()]


def render_statement_csv(statement: Statement) -> bytes:
    """The lines of one issued document, byte for byte as its exported file."""
    described = describe_statement(statement, list(statement.lines.order_by("position")))
    rows = [_line_row(described, position, line) for position, line in enumerate(described["lines"], start=1)]
    return render_csv(LINE_COLUMNS, rows)


def render_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return target.getvalue().encode()


def safe_text(text: str) -> str:
    """A text that a spreadsheet would run as a formula gets an apostrophe before it; figures of ours are never free text."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _document_row(document: dict[str, Any]) -> list[Any]:
    tax = sum((Decimal(item["amount"]) for item in document["taxes"]), Decimal(0))
    buyer = document["buyer"]
    return [
        document["number"],
        document["kind"],
        document["tenant"],
        safe_text(buyer.get("customer_code", "")),
        safe_text(buyer["name"]),
        document["period"]["from"],
        document["period"]["to"],
        document["currency"],
        document["issued_at"].isoformat(),
        document["due_on"],
        document["net"],
        tax,
        document["total"],
        document["hash"],
        document["previous_hash"],
    ]


def _line_row(document: dict[str, Any], position: int, line: dict[str, Any]) -> list[Any]:
    given = {**line, "number": document["number"], "line": position, "currency": document["currency"]}
    texts = {"product", "description", "serial_number"}
    return [safe_text(given[name]) if name in texts else given[name] for name in LINE_COLUMNS]


def _replace(path: Path, content: bytes) -> Path:
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(content)
    draft.replace(path)
    return path
