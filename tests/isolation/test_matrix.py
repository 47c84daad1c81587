"""Every route and method, asked by everybody: the answer is the table's, nothing of acme's is in it, and a refusal changes nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from gateway.dropin.urls import urlpatterns
from gateway.models import Operation
from tenants.api import ApiView
from tenants.context import acting_as
from tenants.models import AuditEntry
from tests.isolation.rules import CODES, MAY_SEE_ACME, OPEN, RULES, WHO, Rule
from tests.isolation.scene import Scene, text_of
from tests.people import SETUP

DROPIN = {str(route.pattern) for route in urlpatterns}
CHANGES_NOTHING = {"estimates", "entitlements/next-token", "assignment-rules/dry-run"}  # POST for their bodies alone


def walk(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            if path != "admin/":  # tests/tenants/test_admin.py opens those pages
                yield from walk(entry, path)
        elif isinstance(entry, URLPattern):
            yield path, getattr(entry.callback, "view_class", None)


def fill(template: Any, ids: dict[str, Any]) -> Any:
    """`{config}` alone becomes the id itself, inside a text its digits."""
    if isinstance(template, str):
        name = template.strip("{}")
        return ids[name] if template == f"{{{name}}}" and name in ids else template.format(**ids)
    if isinstance(template, dict):
        return {key: fill(value, ids) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, ids) for value in template]
    return template


def test_every_route_and_method_has_its_line() -> None:
    found = set()
    for path, view in walk(get_resolver()):
        if path in OPEN or path in DROPIN:  # the latter has a matrix of its own: test_dropin
            continue
        assert view is not None, path
        assert issubclass(view, ApiView), path
        handled = {method.upper() for method in view.http_method_names if hasattr(view, method)} - {"OPTIONS", "HEAD"}
        assert handled == set(view.scopes), f"{path}: every method that is handled names its scope, and no other"
        found |= {(method, path.removeprefix("api/v1/")) for method in handled}
    assert found == {(line.method, line.route) for line in RULES}


@pytest.mark.parametrize("line", RULES, ids=str)
def test_the_answer_is_the_tables(scene: Scene, line: Rule) -> None:
    path, body = fill(line.path, scene.ids), fill(line.body, scene.ids)
    for who, expected in zip(WHO, line.answers, strict=True):
        calls = len(scene.world.sandbox.calls)
        answer = scene.ask(who, line.method, path, body)
        said = (answer.status_code, None if answer.status_code < 400 else answer.json()["code"])
        wanted = (int(expected[:3]), CODES.get(expected))
        assert said == wanted, f"{who}: {answer.content!r}"
        if who not in MAY_SEE_ACME:
            text = text_of(answer).replace(path.partition("?")[0], "")
            told = [mark for mark in scene.marks if mark in text] if who != "narrowed" else []
            assert told == [], f"{who} reads {told}"
        if answer.status_code >= 400:
            assert answer.calls == calls or answer.status_code == 409, f"{who}: a refusal reached FortiFlex"


@pytest.mark.parametrize("line", [line for line in RULES if line.method != "GET"], ids=str)
def test_a_change_is_on_record_and_a_refusal_leaves_nothing_else(scene: Scene, line: Rule) -> None:
    path, body = fill(line.path, scene.ids), fill(line.body, scene.ids)
    for who, expected in zip(WHO, line.answers, strict=True):
        with scene.undone():
            with acting_as(SETUP):
                before, operations = AuditEntry.objects.count(), Operation.objects.count()
            answer = scene.who[who].send(line.method, path, body)
            with acting_as(SETUP):
                new = list(AuditEntry.objects.order_by("id")[before:])
                made = Operation.objects.count() - operations
        assert answer.status_code == int(expected[:3])
        if answer.status_code >= 400:
            assert made == 0
            assert {entry.action for entry in new} <= {"request.refused", "token.refused"}, who
            assert expected[:3] != "403" or [entry.action for entry in new] == ["request.refused"], who
        elif line.route not in CHANGES_NOTHING and not _was_so_already(line):
            assert new, f"{who} changed something, and nothing says so"
            assert all(entry.request_id for entry in new)
            assert {entry.address for entry in new} == {"127.0.0.1"}


def _was_so_already(line: Rule) -> bool:
    return line.route.endswith("/enable") or line.route == "statement-runs"
