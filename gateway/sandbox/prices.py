"""Points per day of a configuration. Two figures are public (FortiGate VM with ENT: 2 vCPU 6.39, 4 vCPU 12.91); all others are invented.

Invented prices are a fixed function of the parameters, rise with each of them, and every estimate says that they are invented.
"""

from collections.abc import Sequence
from decimal import Decimal

from gateway.sandbox.catalogue import PRODUCTS

Values = Sequence[tuple[int, str]]
PUBLIC = {("2", "ENT"): Decimal("6.39"), ("4", "ENT"): Decimal("12.91")}
PUBLIC_NOTE, INVENTED_NOTE = "sandbox: public figure", "sandbox: invented price, not Fortinet's"
CENT = Decimal("0.01")


def price_of(product_type_id: int, values: Values) -> tuple[Decimal, str]:
    """Points per day for one unit, and the note that says where the figure comes from."""
    public = _public_price(product_type_id, values)
    if public is not None:
        return public, PUBLIC_NOTE
    product = PRODUCTS.get(product_type_id)
    points = Decimal(2) + Decimal(product_type_id % 100) / 10
    for parameter_id, value in values:
        parameter = product.parameter(parameter_id) if product else None
        if value.isdigit():
            points += _weight(parameter_id) * int(value)
        elif parameter is not None and value in parameter.values and value != "NONE":
            points += Decimal("0.75") * (parameter.values.index(value) + 1)
    return points.quantize(CENT), INVENTED_NOTE


def _public_price(product_type_id: int, values: Values) -> Decimal | None:
    """Only the plain configuration that the public figures are for: anything added makes it another one."""
    chosen = {parameter_id: value for parameter_id, value in values if value not in {"NONE", "0"}}
    if product_type_id != 1 or set(chosen) != {1, 2}:
        return None
    return PUBLIC.get((chosen[1], chosen[2]))


def _weight(parameter_id: int) -> Decimal:
    """A CPU costs more than an endpoint."""
    return Decimal("2.5") if parameter_id in {1, 4, 6, 25, 73} else Decimal("0.02")
