"""JSON in and out: duplicate keys refused, numbers exact on the way in; Decimals as strings on the way out."""

import datetime
import json
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import IO, Any
from uuid import UUID

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from tenants.body_slots import read_body
from tenants.presumption import confirm_presumed, is_confirmed
from tenants.problems import Problem

MAX_DEPTH = 20
MOST_NAMED = 10  # an answer that lists faults stays an answer


class ExactJSONParser(BaseParser):
    """application/json as RFC 8259 has it: one object, no duplicate names, no NaN, fractions as Decimal, at most 20 levels."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        raw = _read(stream, parser_context)
        return parse_object(raw) if raw.strip() else {}


def _read(stream: IO[Any], parser_context: Mapping[str, Any] | None) -> bytes:
    """In one of the few places of strangers for whoever is only presumed; where those are taken, they are looked up first."""
    meta, asker = meta_of(parser_context), asker_of(parser_context)
    if not is_confirmed():
        try:
            return read_body(stream.read, meta, asker, stranger=True, patience=0)
        except Problem as problem:
            if problem.code != "rate_limited":
                raise
        confirm_presumed()
    return read_body(stream.read, meta, asker)


def parse_object(raw: bytes) -> dict[str, Any]:
    """One JSON object, as strictly as ExactJSONParser says. ParseError for everything else."""
    try:
        # Decoded here: of bytes json.loads guesses UTF-16 and 32 too, and lets halves of surrogate pairs through.
        body = json.loads(
            raw.decode("utf-8-sig"),
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_refuse_duplicates,
        )
    except (UnicodeDecodeError, RecursionError) as error:
        raise ParseError("The body is not JSON in UTF-8.") from error
    except json.JSONDecodeError as error:
        raise ParseError(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
    except (ValueError, ArithmeticError) as error:
        raise ParseError("The body holds a number of more digits than anything here takes.") from error
    if not isinstance(body, dict):
        raise ParseError("The body must be a JSON object.")
    if _is_deeper(body, MAX_DEPTH):
        raise ParseError(f"The body is nested deeper than {MAX_DEPTH} levels.")
    if b"\\ud" in raw.lower():
        try:
            json.dumps(body, ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError as error:
            raise ParseError("The body holds half of a surrogate pair, which is no character.") from error
    return body


def asker_of(parser_context: Mapping[str, Any] | None) -> str:
    """Whose body is being read, for the slots."""
    actor = getattr((parser_context or {}).get("request"), "user", None)
    return str(getattr(actor, "tenant_id", None) or getattr(actor, "name", "nobody"))


def meta_of(parser_context: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What the server told of the request whose body is being read."""
    return getattr((parser_context or {}).get("request"), "META", {})


def _refuse_constant(name: str) -> Any:
    raise ParseError(f"The body is not JSON: {name} is no number.")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = sorted(name for name, count in counts.items() if count > 1)[:MOST_NAMED]
        raise ParseError(f"The body names a key twice: {', '.join(twice)}.")
    return body


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether `value` nests more than `levels` deep; stops looking there, so that no depth exhausts the stack."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if inner is None:
        return False
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in inner)


class ExactJSONRenderer(BaseRenderer):
    """application/json by orjson; Decimals, UUIDs and days as strings. A body that the view made for its ETag is not made twice."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        if data is None:
            return b""
        made: bytes | None = (renderer_context or {}).get("body")
        return dump_json(data) if made is None else made


def dump_json(data: Any) -> bytes:
    return orjson.dumps(data, default=_as_text, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)


def _as_text(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")  # never 1E+2
    if isinstance(value, (UUID, datetime.date)):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if isinstance(value, str):  # text choices, DRF's error strings
        return str.__str__(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
