"""Which requests are made of one operation: a third that should go well, a third that obeys the description, a third that breaks it."""

from collections.abc import Iterable, Mapping
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation

from tests.contract.scene import PROGRAM, Scene

CSV = "text/csv"


@schemathesis.serializer(CSV)
def write_csv(context: Any, value: Any) -> bytes:
    return str(value).encode(errors="replace")


def cases_of(operation: APIOperation, scene: Scene) -> st.SearchStrategy[Case]:
    strategies = [_hopeful(operation, scene), _obeying(operation, scene)]
    if operation.body or any(True for _ in operation.iter_parameters()):
        strategies.append(_breaking(operation, scene))
    return st.one_of(strategies)


@st.composite
def _hopeful(draw: st.DrawFn, operation: APIOperation, scene: Scene) -> Case:
    """Everything that it names exists: what must be there, and now and then what may."""
    body = _schema_of_body(operation)
    return operation.Case(
        path_parameters=_draw_path(draw, operation, scene),
        query=_draw_known(draw, {item.name: item.is_required for item in operation.query}, scene),
        headers=_draw_known(draw, {item.name: item.is_required for item in operation.headers}, scene),
        **_draw_typed_body(draw, operation, body, scene),
    )


@st.composite
def _obeying(draw: st.DrawFn, operation: APIOperation, scene: Scene) -> Case:
    case: Case = draw(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    if draw(st.integers(0, 3)):
        case.path_parameters = _draw_path(draw, operation, scene)
    case.query = _exchange(draw, case.query, scene)
    case.headers.update(_exchange(draw, case.headers, scene))
    if isinstance(case.body, dict):
        case.body = _exchange(draw, case.body, scene)
    return case


@st.composite
def _breaking(draw: st.DrawFn, operation: APIOperation, scene: Scene) -> Case:
    case: Case = draw(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    if draw(st.integers(0, 3)):
        case.path_parameters = _draw_path(draw, operation, scene)
    return case


def _draw_typed_body(
    draw: st.DrawFn, operation: APIOperation, schema: Mapping[str, Any] | None, scene: Scene
) -> dict[str, Any]:
    if schema is not None:
        return {"body": _draw_body(draw, schema, scene), "media_type": "application/json"}
    if _takes_csv(operation):
        return {"body": draw(st.sampled_from(scene.in_data["csv"])), "media_type": CSV}
    return {}


def _takes_csv(operation: APIOperation) -> bool:
    return CSV in operation.definition.raw.get("requestBody", {}).get("content", {})


def _draw_path(draw: st.DrawFn, operation: APIOperation, scene: Scene) -> dict[str, Any]:
    known = scene.in_path | ({"serial": [PROGRAM]} if "/programs/" in operation.path else {})
    return {item.name: draw(st.sampled_from(known[item.name])) for item in operation.path_parameters}


def _draw_known(draw: st.DrawFn, required_by_name: Mapping[str, bool], scene: Scene) -> dict[str, Any]:
    return {
        name: draw(st.sampled_from(scene.in_data[name]))
        for name, required in required_by_name.items()
        if name in scene.in_data and (required or draw(st.integers(0, 3)) == 0)
    }


def _draw_body(draw: st.DrawFn, schema: Mapping[str, Any], scene: Scene) -> dict[str, Any]:
    """`tenant` is always named: an operator must."""
    required: Iterable[str] = {*schema.get("required", ()), "tenant"}
    body = _draw_known(draw, {name: name in required for name in schema["properties"]}, scene)
    if not body:
        name = draw(st.sampled_from(sorted(scene.in_data.keys() & schema["properties"].keys())))
        body[name] = draw(st.sampled_from(scene.in_data[name]))
    return body


def _schema_of_body(operation: APIOperation) -> Mapping[str, Any] | None:
    described = operation.definition.raw.get("requestBody")
    if described is None or _takes_csv(operation):
        return None
    name = described["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schema: Mapping[str, Any] = operation.schema.raw_schema["components"]["schemas"][name]
    return schema


def _exchange(draw: st.DrawFn, data: Mapping[str, Any], scene: Scene) -> dict[str, Any]:
    """As it was generated, or with what exists in place of all or some of it."""
    how = draw(st.sampled_from(["none", "all", "some"]))
    return {
        name: draw(st.sampled_from(scene.in_data[name]))
        if name in scene.in_data and (how == "all" or (how == "some" and draw(st.booleans())))
        else value
        for name, value in data.items()
    }
