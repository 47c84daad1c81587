"""Checks of request fields and of configuration parameters (FortiFlex API reference, sections 2.4 and 4)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.sandbox.catalogue import PRODUCTS, Parameter
from gateway.sandbox.clock import read_time
from gateway.sandbox.refusals import Refusal

Values = list[tuple[int, str]]
RECON_ONLY = frozenset({64, 65})  # executives and vendors need the largest FortiRecon package


def whole(body: Mapping[str, Any], name: str) -> int | None:
    """An id as a number or a numeric string (Terraform sends strings); None where it is left out."""
    value = body.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not str(value).isascii() or not str(value).strip().removeprefix("-").isdigit():
        raise Refusal(f"Invalid value for {name}.")
    return int(str(value))


def required_whole(body: Mapping[str, Any], name: str) -> int:
    value = whole(body, name)
    if value is None:
        raise Refusal(f"{name} is required.")
    return value


def text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Refusal(f"Invalid value for {name}.")
    return value


def required_text(body: Mapping[str, Any], name: str) -> str:
    value = text(body, name)
    if not value:
        raise Refusal(f"{name} is required.")
    return value


def moment(body: Mapping[str, Any], name: str) -> datetime | None:
    value = text(body, name)
    if not value:
        return None
    try:
        return read_time(value)
    except (ValueError, OverflowError):
        raise Refusal(f"Invalid value for {name}.") from None


def serials(body: Mapping[str, Any]) -> list[str]:
    value = body.get("serialNumbers")
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise Refusal("serialNumbers is required.")
    if len(set(value)) != len(value) or len(value) > 100:
        raise Refusal("serialNumbers must be 1 to 100 distinct serial numbers.")
    return value


def read_parameters(body: Mapping[str, Any]) -> Values:
    """[{id, value}] with values as strings or numbers."""
    given = body.get("parameters")
    if not isinstance(given, list):
        raise Refusal("parameters is required.")
    values: Values = []
    for item in given:
        if not isinstance(item, dict) or "value" not in item:
            raise Refusal("Invalid parameters.")
        values.append((required_whole(item, "id"), str(item["value"])))
    return values


def check_parameters(
    product_type_id: int, values: Values, *, before: Values | None = None, estimate: bool = False
) -> Values:
    """The full set, defaults filled in. `before` = the values that up-only parameters must not fall below."""
    product = PRODUCTS.get(product_type_id)
    if product is None:
        raise Refusal(f"Invalid product type id {product_type_id}.")
    given: dict[int, list[str]] = {}
    for parameter_id, value in values:
        given.setdefault(parameter_id, []).append(value)
    known = {parameter.id for parameter in product.parameters}
    for parameter_id in given:
        if parameter_id not in known:
            raise Refusal(f"Parameter id {parameter_id} is not valid for this product.")
    full: Values = []
    for parameter in product.parameters:
        chosen = given.get(parameter.id)
        if parameter.kind == "READONLY":
            if chosen and not (estimate and parameter.id == 47):
                raise Refusal(f"Parameter id {parameter.id} is read-only.")
            chosen = chosen or ["0"]
        if chosen is None:
            if parameter.default is None:
                raise Refusal(f"Parameter id {parameter.id} is required.")
            chosen = [parameter.default]
        _check_values(parameter, chosen)
        full += [(parameter.id, value) for value in chosen]
    _check_recon(full)
    if before is not None:
        _check_up_only(product.parameters, before, full)
    return full


def _check_values(parameter: Parameter, chosen: list[str]) -> None:
    if parameter.kind == "MULTIVALUE":
        valid = chosen == ["NONE"] or (len(set(chosen)) == len(chosen) and set(chosen) <= set(parameter.values))
    elif len(chosen) != 1:
        valid = False
    elif parameter.kind == "SINGLEVALUE":
        valid = chosen[0] in parameter.values
    elif parameter.kind == "NUMERIC":
        valid = chosen[0].isascii() and chosen[0].isdigit() and _in_range(parameter, int(chosen[0]))
    else:
        valid = chosen[0].isascii() and chosen[0].isdigit()
    if not valid:
        raise Refusal(f"Invalid parameter value for Parameter id {parameter.id}.")


def _in_range(parameter: Parameter, number: int) -> bool:
    if number == 0 and parameter.zero_too:
        return True
    if parameter.step and number % parameter.step:
        return False
    return (parameter.minimum or 0) <= number <= (parameter.maximum or 0)


def _check_recon(values: Values) -> None:
    chosen = dict(values)
    if chosen.get(61) not in {None, "FRNEASMBPACI"}:
        for parameter_id in RECON_ONLY:
            if chosen.get(parameter_id, "0") != "0":
                raise Refusal(f"Invalid parameter value for Parameter id {parameter_id}.")


def _check_up_only(parameters: Sequence[Parameter], before: Values, after: Values) -> None:
    old, new = dict(before), dict(after)
    for parameter in parameters:
        if not parameter.up_only or parameter.id not in old:
            continue
        rank = parameter.values.index if parameter.values else int
        if rank(new[parameter.id]) < rank(old[parameter.id]):
            raise Refusal(f"Parameter id {parameter.id} cannot be decreased.")
