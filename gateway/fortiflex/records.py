"""What FortiFlex tells, as frozen records. `raw` keeps the whole decoded object, so that fields we don't name pass through."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True, repr=False)
class Exchange:
    """One request and what came back. `http_status` None and an empty body = nothing readable came back. Its repr shows no content."""

    path: str
    request_body: bytes
    http_status: int | None
    body: bytes
    sent_at: datetime
    answered_at: datetime

    def __repr__(self) -> str:
        return f"Exchange({self.path!r}, http_status={self.http_status}, {len(self.body)} bytes)"


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A decoded answer together with the exchange that carried it."""

    value: T
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class Program:
    serial_number: str
    account_id: int
    start_day: date | None
    end_day: date | None
    has_support_coverage: bool
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ProgramBalance:
    serial_number: str
    account_id: int
    point_balance: Decimal
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ConfigParameter:
    """One parameter value; a multi-value parameter is several of these with the same id. `name` is empty in requests."""

    id: int
    value: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    id: int
    name: str
    program_serial: str
    account_id: int
    status: str
    product_type_id: int
    product: str
    parameters: tuple[ConfigParameter, ...]
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Entitlement:
    """`start_text`/`end_text` as FortiFlex wrote them, `start_day`/`end_day` their Pacific days. `token` is None for hardware and cloud."""

    serial_number: str
    config_id: int
    account_id: int | None
    description: str
    status: str
    start_text: str
    end_text: str
    start_day: date | None
    end_day: date | None
    token: str | None = field(repr=False)
    token_status: str | None
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class PointsTotal:
    """One total for the whole asked range (FortiFlex gives no per-day figures)."""

    serial_number: str
    account_id: int | None
    points: Decimal
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Group:
    folder_path: str
    account_id: int | None
    available_tokens: int
    used_tokens: int
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Points per day. Ask with count 1: whether `current` is per unit or for `count` is unknown."""

    current: Decimal
    latest: Decimal | None
    latest_effective_day: date | None
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ValidValue:
    value: str
    description: str


@dataclass(frozen=True, slots=True)
class ParameterType:
    """`kind`: NUMERIC, SINGLEVALUE, MULTIVALUE, READONLY, or whatever Fortinet adds."""

    id: int
    name: str
    kind: str
    min_value: int | None
    max_value: int | None
    step: int | None
    valid_values: tuple[ValidValue, ...]


@dataclass(frozen=True, slots=True)
class ProductType:
    id: int
    name: str
    form_factor: str
    parameters: tuple[ParameterType, ...]
    raw: Raw = field(repr=False, compare=False)


Parameters = Sequence[ConfigParameter]
