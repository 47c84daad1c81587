"""Points per day of a configuration. Two figures are public (FortiGate VM with ENT: 2 vCPU 6.39, 4 vCPU 12.91); all others are invented.

Invented prices are a fixed function of the parameters, rise with each of them, and every estimate says that they are invented.
"""

from collections.abc import Sequence
from decimal import Decimal

from gateway.sandbox.catalogue import PRODUCTS

Values = Sequence[tuple[int, str]]
PUBLIC_NOTE, INVENTED_NOTE = "sandbox: public figure", "sandbox: invented price, not Fortinet's"
CENT = Decimal("0.01")
# FortiGate VM: a straight line through the two public figures for ENT; the other packages are invented shares of it.
TWO_CPU, EACH_CPU = Decimal("6.39"), Decimal("3.26")
PACKAGES = {"FC": "0.50", "ATP": "0.70", "UTM": "0.75", "UTP": "0.80", "ENT": "1.00", "360": "1.30"}
ADD_ON = Decimal("0.75")


def price_of(product_type_id: int, values: Values) -> tuple[Decimal, str]:
    """Points per day for one unit, and the note that says where the figure comes from."""
    product = PRODUCTS.get(product_type_id)
    points, anchored = (
        (_fortigate_vm(dict(values)), {1, 2}) if product_type_id == 1 else (_base(product_type_id), set())
    )
    extras = Decimal(0)
    for parameter_id, value in values:
        parameter = product.parameter(parameter_id) if product else None
        if parameter_id in anchored or value in {"0", "NONE"}:
            continue
        if parameter is not None and value in parameter.values:
            extras += ADD_ON * (parameter.values.index(value) + 1)
        elif value.isascii() and value.isdigit():
            extras += _weight(parameter_id) * int(value)
    public = product_type_id == 1 and extras == 0 and {(1, "2"), (1, "4")} & set(values) and (2, "ENT") in values
    return (points + extras).quantize(CENT), PUBLIC_NOTE if public else INVENTED_NOTE


def _fortigate_vm(chosen: dict[int, str]) -> Decimal:
    cpus = int(chosen.get(1, "1"))
    return (TWO_CPU + EACH_CPU * (cpus - 2)) * Decimal(PACKAGES.get(chosen.get(2, ""), "1.00"))


def _base(product_type_id: int) -> Decimal:
    return Decimal(2) + Decimal(product_type_id % 100) / 10


def _weight(parameter_id: int) -> Decimal:
    """A CPU costs more than an endpoint."""
    return Decimal("2.5") if parameter_id in {4, 6, 25, 73} else Decimal("0.02")
