"""Every operation of our own OpenAPI description, asked as a tenant and as the operator: each answer is one that it documents."""

from collections import Counter
from typing import Any

import pytest
import schemathesis
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case
from schemathesis.checks import CheckContext
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.transport import Response
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.wsgi import application
from tests.contract.cases import cases_of
from tests.contract.scene import Scene

CONFIG = SchemathesisConfig.from_dict({"generation": {"with-security-parameters": False}})


def read_operations() -> list[APIOperation]:
    """Every operation of the description that we serve, with the one promise added that it does not make: no field goes unnamed."""
    described = Client().get("/api/v1/schema", headers={"Host": "localhost"}).json()
    for schema in described["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    description = schemathesis.openapi.from_dict(described, config=CONFIG)
    description.app = application
    return [found.ok() for found in description.get_all_operations()]


EXAMPLES, SOAK_EXAMPLES = 50, 400
OPERATIONS = {operation.label: operation for operation in read_operations()}
ACTORS = ("acme", "operator")
HONEST_5XX = {502, 503}  # FortiFlex's trouble, told as such


def fails_on_our_side(context: CheckContext, response: Response, case: Case) -> None:
    if response.status_code >= 500 and response.status_code not in HONEST_5XX:
        raise Failure(operation=case.operation.label, title="Our own fault", message=str(response.status_code))


CHECKS = [
    fails_on_our_side,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_documented(label: str, actor: str, scene: Scene, record_property: Any) -> None:
    explore(label, actor, scene, record_property, examples=EXAMPLES)


@pytest.mark.soak
@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_documented_at_length(label: str, actor: str, scene: Scene, record_property: Any) -> None:
    explore(label, actor, scene, record_property, examples=SOAK_EXAMPLES)


def explore(label: str, actor: str, scene: Scene, record_property: Any, *, examples: int) -> None:
    """Make the requests, each from the same beginning; every distinct fault is told, not the first alone."""
    operation = OPERATIONS[label]
    token = getattr(scene.people, actor).token
    answers: Counter[int] = Counter()
    faults: dict[str, str] = {}

    @given(case=cases_of(operation, scene))
    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Case) -> None:
        scene.restore_upstream()
        with transaction.atomic():
            response = case.call(headers={"Authorization": f"Bearer {token}"})
            transaction.set_rollback(True)
        answers[response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                faults.setdefault(f"{failure.title}: {response.status_code} {str(failure.message)[:200]}", str(group))

    ask()
    record_property("openapi_cases", sum(answers.values()))
    assert not faults, "\n\n".join(faults.values())
    # Who may ask was also answered well: else what is promised of a success was never looked at.
    assert 403 in answers or any(status < 300 for status in answers), answers
