"""tools/*: the calculator and the catalogue."""

from typing import Any

from gateway.sandbox import checks
from gateway.sandbox.calls.call import Call
from gateway.sandbox.catalogue import CLOUD, PRODUCTS, describe_catalogue
from gateway.sandbox.prices import price_of
from gateway.sandbox.refusals import Refusal


def calculate(call: Call) -> dict[str, Any]:
    """`current` is for one unit here; whether FortiFlex multiplies by count is unknown. `note` says whether the price is invented."""
    call.program()
    product_type_id = checks.required_whole(call.body, "productTypeId")
    count = checks.required_whole(call.body, "count")
    if count < 1 or (count != 1 and product_type_id in PRODUCTS and PRODUCTS[product_type_id].form == CLOUD):
        raise Refusal("Invalid value for count.")
    values = checks.check_parameters(product_type_id, checks.read_parameters(call.body), estimate=True)
    points, note = price_of(product_type_id, values)
    return {"points": {"current": points, "latest": None, "latestEffectiveDate": None, "note": note}}


def metadata(call: Call) -> dict[str, Any]:
    return {"productTypes": describe_catalogue()}
