"""From summed points to a document's figures. Pure: no database, no clock; the same input gives the same bytes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from billing.money import round_amount

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Usage:
    """Points of one serial in one place at one price: `days` with points, from `first` to `last`."""

    serial_number: str
    config_id: int | None
    product: str
    description: str
    unit_price: Decimal
    points: Decimal
    days: int
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class TaxProfile:
    """EN 16931 category, rate in per cent, and the reason printed where nothing is charged."""

    category: str
    rate: Decimal
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    position: int
    kind: str
    serial_number: str
    config_id: int | None
    product: str
    description: str
    quantity: Decimal
    unit: str
    days: int
    points: Decimal
    unit_price: Decimal
    amount: Decimal
    tax_category: str
    service_from: date
    service_to: date


@dataclass(frozen=True, slots=True)
class Tax:
    category: str
    rate: Decimal
    base: Decimal
    amount: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class Figures:
    lines: tuple[Line, ...]
    net: Decimal
    taxes: tuple[Tax, ...]
    total: Decimal


def rate_usage(usage: Iterable[Usage], *, currency: str, tax: TaxProfile) -> Figures:
    """One line per serial, place and price, in the order of serial and first day; see billing.money for the rounding rule."""
    ordered = sorted(usage, key=lambda item: (item.serial_number, item.first, item.config_id or 0, item.unit_price))
    lines = tuple(
        Line(
            position=position,
            kind="usage",
            serial_number=item.serial_number,
            config_id=item.config_id,
            product=item.product,
            description=item.description,
            quantity=item.points,
            unit="points",
            days=item.days,
            points=item.points,
            unit_price=item.unit_price,
            amount=round_amount(item.points * item.unit_price, currency),
            tax_category=tax.category,
            service_from=item.first,
            service_to=item.last,
        )
        for position, item in enumerate(ordered, start=1)
    )
    net = round_amount(sum((line.amount for line in lines), ZERO), currency)
    taxes = _tax_lines(net, tax, currency) if lines else ()
    total = net + sum((item.amount for item in taxes), ZERO)
    return Figures(lines, net, taxes, total)


def _tax_lines(net: Decimal, tax: TaxProfile, currency: str) -> tuple[Tax, ...]:
    return (Tax(tax.category, tax.rate, net, round_amount(net * tax.rate / 100, currency), tax.reason),)
