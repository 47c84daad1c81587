"""Recompute every hash, chain and sum of issued documents from what is stored."""

from collections.abc import Iterator
from decimal import Decimal

from billing.documents import describe_statement, hash_document, hashed_content
from billing.models import Series, Statement
from billing.money import round_amount


def find_faults() -> Iterator[str]:
    """One sentence per thing that does not hold, by tenant and in the order of numbers. Inside `acting_as` of who sees every tenant."""
    tails: dict[str, str] = {}
    counts: dict[str, int] = {}
    rows = Statement.objects.select_related("tenant").prefetch_related("lines").order_by("tenant__slug", "number")
    for statement in rows.iterator(chunk_size=500):
        slug = statement.tenant.slug
        lines = sorted(statement.lines.all(), key=lambda line: line.position)
        document = describe_statement(statement, lines)
        if statement.previous_hash != tails.get(slug, ""):
            yield f"{statement.number}: it does not follow on the document before it"
        if hash_document(hashed_content(document), statement.previous_hash) != statement.hash:
            yield f"{statement.number}: its content is not what was hashed when it was issued"
        for line in lines:
            if round_amount(line.quantity * line.unit_price, statement.currency) != line.amount:
                yield f"{statement.number} line {line.position}: quantity × unit price is not the amount"
        net = sum((line.amount for line in lines), Decimal(0))
        if net != statement.net:
            yield f"{statement.number}: the lines sum to {net}, not {statement.net}"
        taxes = Decimal(0)
        for tax in statement.taxes:
            taxes += Decimal(tax["amount"])
            if round_amount(Decimal(tax["base"]) * Decimal(tax["rate"]) / 100, statement.currency) != Decimal(
                tax["amount"]
            ):
                yield f"{statement.number}: its tax of category {tax['category']} is not rate × base"
        if net + taxes != statement.total:
            yield f"{statement.number}: net and tax sum to {net + taxes}, not {statement.total}"
        if statement.status != "issued":
            yield f"{statement.number}: it is stored as {statement.status}"
        tails[slug] = statement.hash
        year = int(statement.number.split("-")[-2])
        key = f"{slug}-{year}"
        counts[key] = counts.get(key, 0) + 1
        if int(statement.number.split("-")[-1]) != counts[key]:
            yield f"{statement.number}: its series has a gap before it"
    for series in Series.objects.select_related("tenant").order_by("tenant__slug"):
        if series.last_hash != tails.get(series.tenant.slug, ""):
            yield f"{series.tenant.slug}: the series ends with another document than the last one stored"
