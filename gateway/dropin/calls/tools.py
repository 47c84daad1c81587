"""tools/*: the calculator, which alone of all reads asks FortiFlex, and the catalogue."""

from typing import Any

from django.conf import settings

from gateway.catalogue import find_product_type, form_of, product_types
from gateway.dropin.deadlines import NoPlace, OutOfTime, begin
from gateway.dropin.envelope import not_known_yet, refuse
from gateway.dropin.places import NO_PROGRAM, Asked
from gateway.provisioning.estimates import estimate_points
from gateway.reach import accounts_for


def calculate(asked: Asked) -> dict[str, Any]:
    """Points a day of one unit, whatever `count` says: whether FortiFlex multiplies is not known (reference 2.4). Never money."""
    body = asked.body
    program, product_type_id = body.required_text("programSerialNumber"), body.catalogue_id("productTypeId")
    count, parameters = body.whole("count"), body.parameters() or []
    reached = [found for found in accounts_for(asked.tenant) if found.program_serial == program]
    if not reached:
        raise refuse(NO_PROGRAM)
    product = find_product_type(reached[0].api_user.api_url, product_type_id)
    if count is not None and (count < 1 or (count > 1 and form_of(product, product_type_id) == "cloud")):
        raise refuse("Invalid value for count.")
    try:
        work = begin(
            lambda: estimate_points(
                asked.actor,
                tenant=asked.tenant,
                program=program,
                product_type_id=product_type_id,
                parameters=parameters,
            )
        )
        points = work.result(timeout=settings.FLEXGATE_DROPIN_SECONDS)
    except (NoPlace, OutOfTime):
        raise not_known_yet(retry_after=2) from None
    return {"points": {"current": points, "latest": None, "latestEffectiveDate": None}}


def read_metadata(asked: Asked) -> dict[str, Any]:
    """What the tenant's programs sell, as FortiFlex told it last."""
    urls = {reached.api_user.api_url for reached in accounts_for(asked.tenant)}
    return {"productTypes": [dict(product.raw) for product in product_types(urls)]}
