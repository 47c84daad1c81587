"""Values written by hand are what psycopg and Django would write."""

import datetime
import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DataError, connection
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import PyFormat, Transformer
from psycopg.types.json import Jsonb

from tenants.flights import Step, fly, what_is_known
from tenants.jsonfields import ExactJSONField, json_text
from tenants.written import write_values
from tests.databases import OwnDatabase

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ZONE = datetime.timezone(datetime.timedelta(hours=-8))
SIMPLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    TEXT,
    st.uuids(),
    st.decimals(),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, datetime.UTC, ZONE])),
    st.binary(),
    st.floats(),
)
LISTS = st.one_of(
    st.lists(TEXT), st.lists(st.sampled_from(["", "NULL", "null", '"', "\\", "{}", ",", "a b"])), st.just([])
)
DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | TEXT
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.datetimes(timezones=st.just(datetime.UTC))
    | st.uuids(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT | st.integers(), inner) | st.tuples(inner),
    max_leaves=10,
)


@given(SIMPLE)
def test_what_is_written_by_hand_is_what_psycopg_writes(value: Any) -> None:
    adapters = Transformer()
    assert write_values([value], adapters) == list(adapters.dump_sequence([value], [PyFormat.TEXT]))


def test_a_list_arrives_as_it_is(own_database: OwnDatabase) -> None:
    known = what_is_known()

    @given(LISTS)
    def arrives(values: list[str]) -> None:
        assert fly([Step(b"SELECT $1::text[]", [values])], known)[0] == [(values,)]

    arrives()
    ids = [UUID(int=1), UUID(int=2)]
    assert fly([Step(b"SELECT $1::uuid[]", [ids])], known)[0] == [(ids,)]
    assert fly([Step(b"SELECT $1::int[]", [[1, 2]])], known)[0] == [([1, 2],)]
    assert fly([Step(b"SELECT $1::text[]", [["a", None]])], known)[0] == [(["a", None],)]


@pytest.mark.parametrize("value", ["a\0b", ["a", "b\0"]])
def test_what_postgresql_can_not_hold_is_refused_before_it_is_sent(own_database: OwnDatabase, value: Any) -> None:
    known = what_is_known()
    with pytest.raises(DataError):
        fly([Step(b"SELECT 1", []), Step(b"SELECT $1::text", [value])], known)
    assert fly([Step(b"SELECT 1", [])], known)[0] == [(1,)]


@given(DOCUMENTS)
def test_json_is_what_djangos_encoder_writes(value: Any) -> None:
    expected = json.dumps(value, cls=DjangoJSONEncoder)
    assert json.loads(json_text(value)) == json.loads(expected)


def test_json_refuses_what_it_can_not_hold() -> None:
    for value in (object(), {"a": {1, 2}}, {(1, 2): 3}):
        with pytest.raises(TypeError):
            json_text(value)


def test_djangos_own_ways_write_json_by_the_same_hand() -> None:
    written = ExactJSONField().get_db_prep_save(
        {"points": Decimal("1.50"), "day": datetime.date(2026, 11, 30)}, connection
    )
    assert isinstance(written, Jsonb)
    assert json.loads(written.dumps(written.obj)) == {"points": "1.50", "day": "2026-11-30"}  # type: ignore[misc]
