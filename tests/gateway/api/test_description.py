"""The OpenAPI description, the docs page, and what is answered before any view."""

from io import StringIO

import orjson
import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.people import People


def api_paths(resolver: URLResolver, prefix: str = "") -> set[str]:
    found = set()
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            found |= api_paths(entry, path)
        elif isinstance(entry, URLPattern) and path.startswith("api/v1/") and not path.endswith(("schema", "docs")):
            found.add(path)
    return found


def test_the_description_is_valid_complete_and_without_a_warning() -> None:
    out, complaints = StringIO(), StringIO()
    call_command(
        "spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=out, stderr=complaints
    )
    described = orjson.loads(out.getvalue())
    assert described["openapi"].startswith("3.1")
    assert len(described["paths"]) == len(api_paths(get_resolver()))
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert operation["security"] == [{"token": []}, {"session": []}], (path, method)
            assert "application/problem+json" in operation["responses"]["401"]["content"], (path, method)


def test_the_docs_page_needs_no_other_host() -> None:
    page = Client().get("/api/v1/docs").content.decode()
    assert "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in page
    assert "https://" not in page
    script = Client().get("/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js")
    assert b"SwaggerUI" in b"".join(script.streaming_content)  # type: ignore[attr-defined]
    schema = Client().get("/api/v1/schema")
    assert orjson.loads(schema.content)["info"]["title"] == "flexgate"


@pytest.mark.parametrize("path", ["/api/v1/nope", "/nope", "/api/v1/tenants/", "/api/v1"])
def test_an_unknown_path_is_a_problem_and_never_a_redirect(people: People, path: str) -> None:
    answer = people.acme.get(path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["request_id"] == answer["Request-Id"]


def test_a_method_that_is_not_taken_says_so(people: People) -> None:
    answer = people.acme.delete("whoami")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_the_clients_request_id_comes_back_if_it_is_well_formed(people: People) -> None:
    assert people.acme.get("whoami", Request_Id="deploy-0815-a")["Request-Id"] == "deploy-0815-a"
    assert people.acme.get("whoami", Request_Id="bad id!")["Request-Id"] != "bad id!"


def test_a_body_that_is_too_large_is_refused_unread(people: People) -> None:
    answer = people.acme.send("POST", "entitlements", b"x" * 1_048_577)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_another_media_type_is_refused(people: People) -> None:
    answer = Client().post(
        "/api/v1/entitlements",
        data=b"a=b",
        content_type="text/plain",
        headers={"Authorization": f"Bearer {people.acme.token}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_health_needs_no_token_and_readiness_names_what_is_missing(people: People) -> None:
    assert Client().get("/healthz").json() == {"status": "ok"}
    ready = Client().get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["scheduler"].startswith("silent")
    from gateway.tasks import SCHEDULER_BEAT, take_lease

    take_lease(SCHEDULER_BEAT, seconds=1)
    assert Client().get("/readyz").json() == {"status": "ok", "database": "ok", "migrations": "ok", "scheduler": "ok"}
