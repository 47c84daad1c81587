"""Which requests are made of one operation: what the description allows and what it forbids, around names that exist and names that don't."""

from typing import Any

from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation

from tests.contract.scene import PROGRAM, Scene

HEADERS_OF_TRANSPORT = frozenset({"authorization", "content-type"})


def cases_of(operation: APIOperation, scene: Scene) -> st.SearchStrategy[Case]:
    """Half of the cases obey the description and half break it, wherever there is something to break."""
    obeying = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    strategies = [_with_known_names(obeying, scene, in_data=True)]
    if any(True for _ in operation.iter_parameters()) or operation.body:
        breaking = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
        strategies.append(_with_known_names(breaking, scene, in_data=False))
    return st.one_of(strategies)


@st.composite
def _with_known_names(draw: st.DrawFn, cases: st.SearchStrategy[Case], scene: Scene, *, in_data: bool) -> Case:
    case = draw(cases)
    if case.path_parameters and draw(st.integers(0, 3)):
        case.path_parameters = {
            name: draw(st.sampled_from(_known_in_path(case, name, scene))) for name in case.path_parameters
        }
    if in_data:
        case.query = _exchange(draw, case.query, scene)
        if isinstance(case.body, dict):
            case.body = _exchange(draw, case.body, scene)
    return case


def _known_in_path(case: Case, name: str, scene: Scene) -> list[Any]:
    return [PROGRAM] if case.path.startswith("/api/v1/programs") else scene.in_path[name]


def _exchange(draw: st.DrawFn, data: dict[str, Any], scene: Scene) -> dict[str, Any]:
    """As it was generated, or with what exists in place of all or some of it."""
    how = draw(st.sampled_from(["all", "all", "some", "none"]))
    return {
        name: draw(st.sampled_from(scene.in_data[name]))
        if name in scene.in_data and (how == "all" or (how == "some" and draw(st.booleans())))
        else value
        for name, value in data.items()
    }
