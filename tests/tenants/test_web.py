"""What every answer carries, who may call from a browser, and how strange requests end."""

import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import get_resolver

from tenants.problems import register_error_form
from tests.people import People

PORTAL = "https://portal.example"


@pytest.fixture
def portal(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [PORTAL]


def test_no_origin_may_call_unless_it_is_named(people: People) -> None:
    answer = people.acme.get("whoami", Origin=PORTAL)
    assert "Access-Control-Allow-Origin" not in answer


def test_a_named_portal_may_and_reads_what_it_needs(people: People, portal: None) -> None:
    answer = people.acme.get("whoami", Origin=PORTAL)
    assert answer["Access-Control-Allow-Origin"] == PORTAL
    assert "Access-Control-Allow-Credentials" not in answer
    exposed = {name.strip() for name in answer["Access-Control-Expose-Headers"].split(",")}
    assert exposed >= {"ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "Request-Id"}
    asked = Client().options(
        "/api/v1/entitlements",
        headers={
            "Origin": PORTAL,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,idempotency-key",
        },
    )
    assert asked.status_code == 200
    assert "idempotency-key" in asked["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Origin" not in people.acme.get("whoami", Origin="https://evil.example")
    assert "Access-Control-Allow-Origin" not in Client().get("/admin/login/", headers={"Origin": PORTAL})


@pytest.mark.parametrize(
    "path", ["/api/v1/whoami", "/api/v1/nope", "/healthz", "/api/v1/schema", "/api/v1/docs", "/admin/login/"]
)
def test_every_answer_has_strict_headers(people: People, path: str) -> None:
    answer = people.acme.get(path)
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    policy = answer["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy
    assert "script-src 'self';" in policy or "script-src" not in policy
    assert answer["Request-Id"]
    assert answer.cookies == {} or path == "/admin/login/"


def test_the_docs_page_obeys_its_own_policy(people: People) -> None:
    """No inline script: the page's script is a file of its own."""
    page = Client().get("/api/v1/docs").content.decode()
    scripts = page.split("<script")[1:]
    assert scripts
    assert all(part.split(">")[0].find("src=") > 0 and part.split(">")[1].startswith("</script") for part in scripts)
    assert b"SwaggerUIBundle" in Client().get("/api/v1/docs?script=").content


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "DELETE", "TRACE"])
def test_the_docs_page_is_only_read(people: People, method: str) -> None:
    answer = Client().generic(method, "/api/v1/docs")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Allow"] == "GET, HEAD"


def test_what_the_docs_page_refuses_is_a_problem_too(people: People) -> None:
    answer = Client().get("/api/v1/docs", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize(
    "path", ["/api/v1/entitlements/", "/api/v1", "/ES/api/fortiflex/v2/programs/lis", "/ES/", "/es", "/api/"]
)
@pytest.mark.parametrize("debug", [True, False])
def test_nothing_under_api_or_es_is_ever_a_redirect(people: People, settings: Any, path: str, debug: bool) -> None:
    settings.SECURE_SSL_REDIRECT = not debug
    answer = Client().post(path, b"{}", content_type="application/json")
    assert answer.status_code == 404
    theirs = path.lower().startswith("/es")
    assert answer["Content-Type"] == ("application/json; charset=utf-8" if theirs else "application/problem+json")


def test_one_place_chooses_an_errors_form_also_before_a_view(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers in a vendor's own form does so for an unknown path, a wrong host and a body too large alike."""
    monkeypatch.setattr("tenants.problems._forms", [])
    register_error_form("/ES/", lambda problem: HttpResponse(f"theirs: {problem.code}", status=problem.status))
    path = "/ES/api/fortiflex/v2/nope"
    client = Client()
    told = [
        client.post(path),
        client.post(path, headers={"Host": "evil.example"}),
        client.post(path, headers={"Content-Length": str(2**21)}),
    ]
    assert [answer.content.decode() for answer in told] == ["theirs: not_found", "theirs: invalid", "theirs: too_large"]
    assert people.acme.get("nope").json()["code"] == "not_found"


def test_a_wrong_host_is_a_problem_and_no_page(people: People) -> None:
    answer = Client().get("/api/v1/whoami", headers={"Host": "evil.example"})
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Length": "x"}, 400, "invalid"),
        ({"Content-Length": "9" * 400}, 400, "invalid"),
        ({"Content-Length": str(2**21)}, 413, "too_large"),
    ],
)
def test_bodies_are_bounded_before_they_are_read(
    people: People, headers: dict[str, str], status: int, code: str
) -> None:
    answer = people.acme.send("POST", "entitlements", b"{}", **{"Content-Length": headers["Content-Length"]})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_chunked_body_is_never_taken_for_an_empty_one(people: People) -> None:
    answer = Client().generic(
        "POST",
        f"/api/v1/tenants/acme/tokens/{people.acme.row.id}/rotate",  # type: ignore[union-attr]
        headers={"Authorization": f"Bearer {people.acme.token}", "Transfer-Encoding": "chunked"},
    )
    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": ' * 900 + b"1" + b"}" * 900,
        b"{" + b",".join(b'"%05d":1' % (n % 40_000) for n in range(80_000)) + b"}",
        b"{" + b",".join(b'"k%05d":1' % n for n in range(60_000)) + b"}",
        b'{"name": 1e99999999999999999999}',
        b'{"name": ' + b"9" * 5000 + b"}",
        b'{"name": "' + b"x" * 900_000 + b'"}',
    ],
    ids=["deep", "twice", "unknown", "huge exponent", "huge number", "long text"],
)
def test_no_body_costs_more_than_its_size(people: People, body: bytes) -> None:
    """The limit is the time of a plain parse of the same bytes, in the same run."""
    import json

    started = time.perf_counter()
    with suppress(ValueError, RecursionError):
        json.loads(body)
    plain = time.perf_counter() - started
    started = time.perf_counter()
    answer = people.acme.send("POST", "tenants/acme/tokens", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert len(answer.content) < 10_000
    assert time.perf_counter() - started < 20 * plain + 1


def test_a_slow_client_holds_no_thread_before_its_headers_are_there(tmp_path: Any) -> None:
    """The server gives up on a client that dribbles, and answers others meanwhile."""
    from gateway.processes.tree import Tree

    command = Tree("127.0.0.1", 0).children[0].command
    assert "--http1-header-read-timeout" in command
    assert int(command[command.index("--http1-header-read-timeout") + 1]) <= 10_000


def test_every_open_path_is_known_to_hold_nothing(people: People) -> None:
    assert get_resolver().resolve("/healthz").func.__name__ == "answer_alive"
    assert Client().get("/healthz").json() == {"status": "ok"}


__all__ = ["socket", "subprocess", "sys"]
