"""What a product type takes: form and parameter rules, from the stored answer of tools/metadata (FortiFlex API reference, section 4).

Only what is certainly wrong is refused here. What the catalogue does not know (Fortinet adds types and values with every release) passes.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal

from gateway.fortiflex import wire
from gateway.fortiflex.records import ConfigParameter, ParameterType, ProductType
from gateway.models import ApiUser, ProductCatalogue
from gateway.upstream import client_for
from tenants import clock
from tenants.actors import system
from tenants.context import acting_as
from tenants.problems import Problem, invalid

Form = Literal["vm", "hardware", "cloud"]
CATALOGUE = system("catalogue")
# Metered by the product itself; tools/calc alone takes 47 (reference 4.3).
READ_ONLY_IDS = frozenset({47, 60, 85, 86, 87, 88})
# tools/metadata can't say "0 or from 25 up"; these parameters take 0 besides their range (reference 4.1, 4.3).
ZERO_TOO_IDS = frozenset({13, 14, 15, 37, 38, 39, 40, 41, 50, 51})
# Can be raised and never lowered afterwards (reference 4.3); tools/metadata does not say so.
UP_ONLY_IDS = frozenset({59, 67, 68, 72, 76, 83})
NOTHING_CHOSEN = "NONE"
_read: dict[tuple[str, datetime], list[ProductType]] = {}  # decoding a catalogue takes longer than a whole request may


def refresh_catalogue(api_user: ApiUser) -> int:
    """Fetch tools/metadata for this API user's URL and keep it; the number of product types. Errors of gateway.fortiflex."""
    found = client_for(api_user, interactive=False).fetch_metadata().value
    with acting_as(CATALOGUE):
        ProductCatalogue.objects.update_or_create(
            api_url=api_user.api_url,
            defaults={"product_types": [dict(product.raw) for product in found], "fetched_at": clock.now()},
        )
    return len(found)


def product_types(api_urls: Collection[str]) -> list[ProductType]:
    """What these URLs sell, by id; empty before the first sync."""
    with acting_as(CATALOGUE):
        rows = ProductCatalogue.objects.filter(api_url__in=api_urls).order_by("fetched_at")
        keys = [(str(url), fetched_at) for url, fetched_at in rows.values_list("api_url", "fetched_at")]
        unread = [url for url, fetched_at in keys if (url, fetched_at) not in _read]
        for row in rows.filter(api_url__in=unread) if unread else ():
            _read[row.api_url, row.fetched_at] = [wire.read_product_type(raw) for raw in row.product_types]
    found = {product.id: product for key in keys for product in _read[key]}
    for key in [key for key in _read if key[0] in api_urls and key not in keys]:
        _read.pop(key, None)  # a newer one came
    return [found[product_id] for product_id in sorted(found)]


def find_product_type(api_url: str, product_type_id: int, *, fetched_at: datetime | None = None) -> ProductType | None:
    """`fetched_at` = when the stored answer was fetched, where that is known already: what was read of it once is not asked for again."""
    known = _read.get((api_url, fetched_at)) if fetched_at is not None else None
    products = product_types([api_url]) if known is None else known
    return next((product for product in products if product.id == product_type_id), None)


def form_of(product: ProductType | None, product_type_id: int) -> Form:
    """What an entitlement of this product is. The catalogue's own word first; else by id: 1-99 VM, 101+ hardware, 201+ cloud [inferred]."""
    words = product.form_factor.lower() if product else ""
    if "virtual" in words:
        return "vm"
    if "hardware" in words or "appliance" in words:
        return "hardware"
    if "cloud" in words:
        return "cloud"
    return "vm" if product_type_id < 100 else "hardware" if product_type_id < 200 else "cloud"


def check_parameters(
    product: ProductType | None,
    parameters: Sequence[ConfigParameter],
    *,
    before: Sequence[ConfigParameter] = (),
    estimate: bool = False,
) -> None:
    """Problem `invalid` naming the parameter for what is certainly wrong. `before` = the values that up-only ones must not fall below."""
    given: dict[int, list[str]] = defaultdict(list)
    places: dict[int, int] = {}
    for index, parameter in enumerate(parameters):
        given[parameter.id].append(parameter.value)
        places.setdefault(parameter.id, index)
    known = {parameter.id: parameter for parameter in product.parameters} if product else {}
    for parameter_id, values in given.items():
        rule = known.get(parameter_id)
        read_only = parameter_id in READ_ONLY_IDS or (rule is not None and rule.kind == "READONLY")
        reason = None
        if read_only and not (estimate and parameter_id == 47):
            reason = "is read-only: the product reports it"
        elif rule is not None and not read_only:
            reason = _fault_in(rule, values)
        if reason is not None:
            raise _refusal(parameter_id, rule, places[parameter_id], reason)
    _check_up_only(known, given, places, before)


def name_parameter(product: ProductType | None, parameter_id: int) -> str:
    """`parameter 1 (vCPU)`, or only its number where the catalogue has no name."""
    rule = next((item for item in product.parameters if item.id == parameter_id), None) if product else None
    return f"parameter {parameter_id} ({rule.name})" if rule and rule.name else f"parameter {parameter_id}"


def _fault_in(rule: ParameterType, values: list[str]) -> str | None:
    allowed = {choice.value for choice in rule.valid_values}
    if rule.kind == "MULTIVALUE":
        if values == [NOTHING_CHOSEN]:
            return None
        if len(set(values)) != len(values):
            return "names a value twice"
        wrong = sorted(set(values) - allowed) if allowed else []
        return f"does not take {', '.join(wrong)}; it takes {', '.join(sorted(allowed))}" if wrong else None
    if len(values) != 1:
        return "takes one value"
    if rule.kind == "SINGLEVALUE":
        taken = not allowed or values[0] in allowed
        return None if taken else f"does not take {values[0]}; it takes {', '.join(sorted(allowed))}"
    return _number_fault(rule, values[0]) if rule.kind == "NUMERIC" else None


def _number_fault(rule: ParameterType, value: str) -> str | None:
    if not _is_whole(value):
        return "takes a whole number"
    number, low = int(value), rule.min_value or 0
    if number == 0 and rule.id in ZERO_TOO_IDS:
        return None
    if number < low or (rule.max_value is not None and number > rule.max_value):
        upper = "" if rule.max_value is None else f" to {rule.max_value}"
        return f"takes {low}{upper}"
    # Whether steps count from 0 or from the minimum is not documented: only what fits neither is wrong.
    if rule.step and number % rule.step and (number - low) % rule.step:
        return f"goes in steps of {rule.step}"
    return None


def _is_whole(value: str) -> bool:
    """Whether `value` is one to twelve plain digits: a text like "²" is a digit to Python and no number."""
    return value.isascii() and value.isdigit() and len(value) <= 12


def _check_up_only(
    known: dict[int, ParameterType],
    given: dict[int, list[str]],
    places: dict[int, int],
    before: Sequence[ConfigParameter],
) -> None:
    for old in before:
        new = given.get(old.id, [])
        if old.id not in UP_ONLY_IDS or len(new) != 1:
            continue
        rule = known.get(old.id)
        order = [choice.value for choice in rule.valid_values] if rule and rule.valid_values else None
        lowered = (
            order.index(new[0]) < order.index(old.value)
            if order and new[0] in order and old.value in order
            else _is_whole(new[0]) and _is_whole(old.value) and int(new[0]) < int(old.value)
        )
        if lowered:
            reason = f"can be raised and never lowered; it stands at {old.value}"
            raise _refusal(old.id, rule, places[old.id], reason)


def _refusal(parameter_id: int, rule: ParameterType | None, index: int, reason: str) -> Problem:
    name = f"Parameter {parameter_id}" + (f" ({rule.name})" if rule and rule.name else "")
    return invalid(f"/parameters/{index}", f"{name} {reason}.")


def as_parameters(stored: Sequence[dict[str, Any]]) -> list[ConfigParameter]:
    """Stored or posted `[{"id", "value"}]` as records."""
    return [ConfigParameter(int(item["id"]), str(item["value"]), str(item.get("name") or "")) for item in stored]
