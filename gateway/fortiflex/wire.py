"""The only place that knows FortiFlex's JSON: its envelope, its keys and its quirks (FortiFlex API reference, 2.2 to 2.7 and 3)."""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.fortiflex import records
from gateway.fortiflex.days import parse_wire_day


class UnreadableError(ValueError):
    """The bytes are not what FortiFlex answers: HTML, cut off, empty, or without its envelope."""


def decode_object(body: bytes) -> dict[str, Any]:
    """JSON with exact numbers: fractions become Decimal from their own text. UnreadableError for everything that is no object."""
    try:
        decoded = json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise UnreadableError("The answer is not JSON.") from error
    if not isinstance(decoded, dict):
        raise UnreadableError("The answer is JSON, but no object.")
    return decoded


def encode_object(payload: Mapping[str, Any]) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def encode_parameters(parameters: records.Parameters) -> list[dict[str, Any]]:
    """Multi-value parameters repeat their id, one entry per value; values are strings (reference 2.4, configs/create)."""
    return [{"id": parameter.id, "value": str(parameter.value)} for parameter in parameters]


def read_list(envelope: Mapping[str, Any], *keys: str) -> list[dict[str, Any]]:
    """The payload under the first present of `keys`: an array, a single object, or null for an empty list."""
    for key in keys:
        if key in envelope:
            payload = envelope[key]
            if payload is None:
                continue  # the other key may hold it: FortiFlex uses `vms` where it means `entitlements`
            items = payload if isinstance(payload, list) else [payload]
            if all(isinstance(item, dict) for item in items):
                return items
            raise UnreadableError(f"'{key}' is neither objects nor null.")
    if any(key in envelope for key in keys):
        return []
    raise UnreadableError(f"The answer has none of {', '.join(keys)}.")


def read_program(raw: Mapping[str, Any]) -> records.Program:
    return records.Program(
        serial_number=_text(raw, "serialNumber"),
        account_id=_whole(raw, "accountId"),
        start_day=_day(raw.get("startDate")),
        end_day=_day(raw.get("endDate")),
        has_support_coverage=bool(raw.get("hasSupportCoverage")),
        raw=raw,
    )


def read_balance(raw: Mapping[str, Any]) -> records.ProgramBalance:
    return records.ProgramBalance(
        _text(raw, "serialNumber"), _whole(raw, "accountId"), read_decimal(raw.get("pointBalance")), raw=raw
    )


def read_config(raw: Mapping[str, Any]) -> records.Config:
    product = _object(raw.get("productType"))
    return records.Config(
        id=_whole(raw, "id"),
        name=str(raw.get("name") or ""),
        program_serial=str(raw.get("programSerialNumber") or ""),
        account_id=_whole(raw, "accountId"),
        status=str(raw.get("status") or ""),
        product_type_id=_whole(product, "id"),
        product=str(product.get("name") or ""),
        parameters=tuple(
            records.ConfigParameter(_whole(item, "id"), _value(item), str(item.get("name") or ""))
            for item in _objects(raw.get("parameters"))
        ),
        raw=raw,
    )


def read_entitlement(raw: Mapping[str, Any]) -> records.Entitlement:
    start, end = str(raw.get("startDate") or ""), str(raw.get("endDate") or "")
    return records.Entitlement(
        serial_number=_text(raw, "serialNumber"),
        config_id=_whole(raw, "configId"),
        account_id=_whole(raw, "accountId") if raw.get("accountId") is not None else None,
        description=str(raw.get("description") or ""),
        status=str(raw.get("status") or ""),
        start_text=start,
        end_text=end,
        start_day=_day(start),
        end_day=_day(end),
        token=str(raw["token"]) if raw.get("token") else None,
        token_status=str(raw["tokenStatus"]) if raw.get("tokenStatus") else None,
        raw=raw,
    )


def read_points(raw: Mapping[str, Any]) -> records.PointsTotal:
    account = _whole(raw, "accountId") if raw.get("accountId") is not None else None
    return records.PointsTotal(_text(raw, "serialNumber"), account, read_decimal(raw.get("points")), raw=raw)


def read_group(raw: Mapping[str, Any]) -> records.Group:
    account = _whole(raw, "accountId") if raw.get("accountId") is not None else None
    return records.Group(
        str(raw.get("folderPath") or ""), account, _whole(raw, "availableTokens"), _whole(raw, "usedTokens"), raw=raw
    )


def read_estimate(envelope: Mapping[str, Any]) -> records.Estimate:
    """`points` is an object; before about 25.1.0 it was a bare number."""
    points = envelope.get("points")
    if not isinstance(points, dict):
        return records.Estimate(read_decimal(points), None, None, raw=envelope)
    latest = points.get("latest")
    return records.Estimate(
        current=read_decimal(points.get("current")),
        latest=None if latest is None else read_decimal(latest),
        latest_effective_day=_day(points.get("latestEffectiveDate")),
        raw=points,
    )


def read_product_type(raw: Mapping[str, Any]) -> records.ProductType:
    return records.ProductType(
        id=_whole(raw, "productTypeId"),
        name=str(raw.get("name") or ""),
        form_factor=str(_object(raw.get("formFactor")).get("name") or ""),
        parameters=tuple(_read_parameter_type(item) for item in _objects(raw.get("parameters"))),
        raw=raw,
    )


def _read_parameter_type(raw: Mapping[str, Any]) -> records.ParameterType:
    def limit(name: str) -> int | None:
        return None if raw.get(name) is None else _whole(raw, name)

    return records.ParameterType(
        id=_whole(raw, "parameterId"),
        name=str(raw.get("name") or ""),
        kind=str(raw.get("type") or ""),
        min_value=limit("minValue"),
        max_value=limit("maxValue"),
        step=limit("step"),
        valid_values=tuple(
            records.ValidValue(_value(item), str(item.get("description") or ""))
            for item in _objects(raw.get("validValues"))
        ),
    )


def read_decimal(value: Any) -> Decimal:
    """A JSON number (or a number in a string) as Decimal. UnreadableError for anything else: a missing figure is not zero."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal, str)):
        raise UnreadableError("A figure is missing or no number.")
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise UnreadableError("A figure is no number.") from error
    if not number.is_finite():
        raise UnreadableError("A figure is no finite number.")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _whole(raw: Mapping[str, Any], key: str) -> int:
    value = raw.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise UnreadableError(f"'{key}' is no whole number.")
    text = str(value).strip()
    if not text.isascii() or not text.removeprefix("-").isdigit():
        raise UnreadableError(f"'{key}' is no whole number.")
    return int(text)


def _value(raw: Mapping[str, Any]) -> str:
    value = raw.get("value")
    return "" if value is None else str(value)


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableError("Something that should be an object is none.")
    return value


def _objects(value: Any) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise UnreadableError("Something that should be a list is none.")
    return [_object(item) for item in value]


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not value:
        raise UnreadableError(f"'{key}' is missing.")
    return value


def _day(value: Any) -> date | None:
    """A date that can't be read passes as unknown: FortiFlex has more date forms than anybody has written down."""
    try:
        return parse_wire_day(str(value)) if value else None
    except (ValueError, OverflowError):
        return None
