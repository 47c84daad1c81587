"""Rows made and written by hand are those that Django would make and write."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import Field, Model

from gateway.models import Assignment, Attempt, Entitlement, Operation, Placement
from tenants.models import AuditEntry, Event, Tenant
from tenants.rows import copy_of, new_row
from tenants.written import way_of

SAMPLES: dict[type, list[Any]] = {
    str: ["", "text", "ä' %s \\"],
    int: [0, -1, 7, 2**31 - 1],
    bool: [True, False],
    date: [date(2026, 11, 30)],
    datetime: [datetime(2026, 11, 30, 23, 59, 59, 999999, tzinfo=UTC)],
    Decimal: [Decimal(0), Decimal("12.3456"), Decimal("-0.0001")],
    UUID: [UUID(int=7)],
    type(None): [None],
}
FIELDS = [
    field
    for model in apps.get_models()
    if model._meta.app_label in {"tenants", "gateway", "billing"}
    for field in model._meta.concrete_fields
]
NOW = datetime(2026, 11, 28, tzinfo=UTC)
TENANT = Tenant(slug="acme", name="Acme", currency="EUR")
CASES: list[tuple[type[Model], dict[str, Any]]] = [
    (AuditEntry, {"at": NOW, "tenant_id": TENANT.id, "actor": "x", "action": "y", "after": {"a": 1}}),
    (Event, {"at": NOW, "type": "t", "data": {"b": [1]}}),
    (Operation, {"kind": "stop", "tenant_id": TENANT.id, "intent": {}, "created_at": NOW, "serial_numbers": ["A"]}),
    (Attempt, {"number": 1, "tag": "t", "request": {}, "sent_at": NOW}),
    (Entitlement, {"serial_number": "A", "first_seen_at": NOW, "token": "T"}),
    (Placement, {"serial_number": "A", "labels": {"x": "y"}}),
    (Assignment, {"serial_number": "A", "tenant": TENANT, "created_at": NOW}),
]


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_what_goes_without_asking_the_field_is_what_the_field_would_send(field: "Field[Any, Any]") -> None:
    _, plain, _ = way_of(field)
    for kind in plain:
        for value in SAMPLES[kind]:
            sent = field.get_db_prep_save(value, connection)
            assert sent == value
            assert isinstance(sent, kind)  # the driver's own kinds of whole numbers are numbers


@pytest.mark.parametrize(("model", "given"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_new_row_is_what_the_constructor_makes(model: type[Model], given: dict[str, Any]) -> None:
    def seen(row: Model) -> dict[str, Any]:
        return {name: value for name, value in row.__dict__.items() if name not in {"_state", "id"}}

    ours, django = new_row(model, **given), model(**given)
    assert seen(ours) == seen(django)
    assert type(ours.pk) is type(django.pk)
    assert (ours._state.adding, ours._state.db) == (django._state.adding, django._state.db)
    assert ours._state.fields_cache == django._state.fields_cache
    first = new_row(model, **given)
    assert all(value is not ours.__dict__[name] or name in given for name, value in seen(first).items() if value == {})
    with pytest.raises(TypeError, match="no field"):
        new_row(model, no_such_field=1)


def test_a_copy_changes_nothing_of_its_row() -> None:
    row = new_row(Assignment, serial_number="A", tenant=TENANT)
    twin = copy_of(row)
    twin.serial_number, twin.tenant_id = "B", None  # type: ignore[assignment]
    assert (row.serial_number, row.tenant, row._state.adding) == ("A", TENANT, True)
