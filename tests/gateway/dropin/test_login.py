"""The login: a token's id and secret become access tokens that live beside each other and die with it."""

import json
import statistics
import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.test import Client

from gateway.dropin.login import FAILURE_SECONDS
from tenants import clock
from tenants.actors import AUTHENTICATOR
from tenants.context import acting_as
from tenants.models import AuditEntry, SessionToken
from tenants.rate_limits import forget_full_buckets
from tenants.session_tokens import forget_old_sessions
from tests.gateway.dropin.clients import (
    API,
    REVOKE_PATH,
    TOKEN_PATH,
    FlexClient,
    credentials,
    login_body,
    refused,
)
from tests.people import SETUP, ApiClient, People, make_client

LOGIN_FAILED = {
    "error": "invalid_grant",
    "error_description": "Invalid credentials given.",
    "status": -1,
    "message": "Invalid credentials given.",
}
SECURITY_TOKEN = (401, refused("Invalid security token."))


def log_in(body: Any, *, path: str = TOKEN_PATH, content_type: str = "application/json", **headers: str) -> Any:
    raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return Client().generic("POST", path, data=raw, content_type=content_type, headers=headers)


def programs_with(access_token: str) -> tuple[int, Any]:
    answer = Client().generic("POST", API + "programs/list", headers={"Authorization": f"Bearer {access_token}"})
    return answer.status_code, answer.json()


def test_the_answer_is_fortiflexes(people: People) -> None:
    answer = log_in(login_body(people.acme))
    told = answer.json()
    access, refresh = told.pop("access_token"), told.pop("refresh_token")
    assert all(len(value) == 30 and value.isalnum() and value.isascii() for value in (access, refresh))
    assert told == {
        "expires_in": 3660,
        "token_type": "Bearer",
        "scope": "read write",
        "message": "successfully authenticated",
        "status": "success",
    }
    assert programs_with(access)[0] == 200
    assert "RateLimit" in answer


@pytest.mark.parametrize("path", ["/api/v1/oauth/token", "/API/v1/OAuth/Token/", "/api//v1/oauth/token//"])
def test_json_and_form_with_and_without_a_slash_are_the_same(people: People, path: str) -> None:
    form = urlencode(login_body(people.acme))
    answers = [
        log_in(login_body(people.acme), path=path),
        log_in(form, path=path, content_type="application/x-www-form-urlencoded"),
        log_in(login_body(people.acme), path=path, content_type="text/plain"),
    ]
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "success")] * 3


def test_the_id_is_taken_in_both_forms_that_are_shown(people: People) -> None:
    plain = credentials(people.acme)["username"].replace("-", "")
    assert log_in(login_body(people.acme, username=plain)).status_code == 200
    for wrong in (f"{{{plain}}}", f"urn:uuid:{plain}", plain[:-1], "", str(people.acme.token)):
        assert log_in(login_body(people.acme, username=wrong)).status_code == 400, wrong


def dead_ends(people: People) -> dict[str, dict[str, Any]]:
    """Every way in which a login can't be, as its body."""
    good = login_body(people.acme)
    revoked, expired = make_client(slug="acme"), make_client(slug="acme", expires_at=clock.now() + timedelta(seconds=1))
    elsewhere, suspended = make_client(slug="acme", allowed_ips=["203.0.113.0/24"]), make_client(slug="globex")
    parent = make_client(slug="acme")
    child = parent.post("tenants/acme/tokens", {"name": "child"}).json()
    for person in (revoked, parent):
        row = person.row
        assert row is not None
        people.operator.delete(f"tenants/acme/tokens/{row.id}")
    people.operator.patch("tenants/globex", {"status": "suspended"})
    return {
        "unknown id": good | {"username": "0199a000-0000-7000-8000-000000000000"},
        "no id at all": good | {"username": "admin"},
        "wrong secret": good | {"password": good["password"][::-1]},
        "endless secret": good | {"password": good["password"] + "x" * 5000},
        "no secret": good | {"password": ""},
        "the whole token as password": good | {"password": people.acme.token},
        "number for a secret": good | {"password": 7},
        "revoked": login_body(revoked),
        "expired": login_body(expired),
        "child of a revoked one": good | {"username": child["id"], "password": child["secret"]},
        "wrong network": login_body(elsewhere),
        "suspended tenant": login_body(suspended),
        "operator's token": login_body(people.operator),
        "unknown refresh token": {"client_id": "flexvm", "grant_type": "refresh_token", "refresh_token": "x" * 30},
        "malformed refresh token": {"client_id": "flexvm", "grant_type": "refresh_token", "refresh_token": "'; --"},
    }


def test_every_failure_has_one_answer_in_one_time(people: People) -> None:
    bodies = dead_ends(people)
    with time_machine.travel(clock.now() + timedelta(seconds=5), tick=True):
        took: dict[str, float] = {}
        for name, body in [case for case in bodies.items() for _ in range(3)]:
            started = time.perf_counter()
            answer = log_in(body)
            took[name] = min(took.get(name, 9.0), time.perf_counter() - started)
            assert (answer.status_code, answer.json()) == (400, LOGIN_FAILED), name
            assert not {header for header in answer.headers if header in {"WWW-Authenticate", "RateLimit"}}, name
    middle = statistics.median(took.values())
    assert all(seconds >= FAILURE_SECONDS and abs(seconds - middle) < 0.05 for seconds in took.values()), took
    with acting_as(SETUP):
        assert not SessionToken.objects.exists()
        reasons = {entry.after["reason"] for entry in AuditEntry.objects.filter(action="token.refused")}
    assert reasons == {
        "wrong_secret",
        "revoked",
        "expired",
        "parent_ended",
        "network_not_allowed",
        "tenant_suspended",
    }


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"client_id": "iam"}, "invalid_client"),
        ({"client_id": None}, "invalid_client"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": None}, "unsupported_grant_type"),
    ],
)
def test_other_clients_and_grants_are_refused(people: People, change: dict[str, Any], error: str) -> None:
    answer = log_in(login_body(people.acme) | change)
    assert (answer.status_code, answer.json()["error"], answer.json()["status"]) == (400, error, -1)


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        (b"", "application/json"),
        (b"[1]", "application/json"),
        (b"{", "application/json"),
        (b'{"client_id": "flexvm", "client_id": "flexvm"}', "application/json"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"client_id=flexvm&client_id=flexvm", "application/x-www-form-urlencoded"),
        (b"&".join(b"f%d=1" % n for n in range(100)), "application/x-www-form-urlencoded"),
    ],
)
def test_what_can_t_be_read_is_refused_in_the_logins_form(db: None, raw: bytes, content_type: str) -> None:
    answer = log_in(raw, content_type=content_type)
    told = answer.json()
    assert answer.status_code == 400
    assert (set(told), told["status"]) == ({"error", "error_description", "status", "message"}, -1)


def test_failures_are_counted_per_address_and_slow_nobody_else(people: People, settings: Any) -> None:
    settings.FLEXGATE_FAILURES_PER_ADDRESS = 3
    wrong = login_body(people.acme, password="wrong")
    answers = [log_in(wrong) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 429]
    assert (answers[3].json()["status"], int(answers[3]["Retry-After"]) > 0) == (-10, True)
    assert log_in(login_body(people.acme)).status_code == 200
    assert (
        Client()
        .generic(
            "POST", TOKEN_PATH, data=json.dumps(wrong), content_type="application/json", REMOTE_ADDR="198.51.100.7"
        )
        .status_code
        == 400
    )


def test_a_login_counts_against_the_tokens_rate(people: People) -> None:
    people.operator.patch("tenants/acme", {"limits": {"requests_per_minute": 3}})
    client = FlexClient(people.acme)
    assert [client.call("programs/list")[0] for _ in range(3)] == [200, 200, 429]
    answer = log_in(login_body(people.acme))
    assert (answer.status_code, answer.json()["status"]) == (429, -10)


def test_several_live_side_by_side_and_ansible_fills_no_audit_trail(people: People) -> None:
    tokens = [log_in(login_body(people.acme)).json()["access_token"] for _ in range(5)]
    assert {programs_with(token)[0] for token in tokens} == {200}
    with acting_as(SETUP):
        noted = AuditEntry.objects.filter(action="session.opened")
        assert [(entry.actor, entry.subject_key) for entry in noted] == [
            (f"token {people.acme.row.id}", str(people.acme.row.id))  # type: ignore[union-attr]
        ]


@pytest.mark.parametrize("end", ["revoked", "parent", "suspended", "expired", "network"])
def test_access_tokens_die_with_their_token(people: People, end: str) -> None:
    parent = make_client(slug="acme")
    soon = {"expires_at": clock.now() + timedelta(minutes=10)} if end == "expired" else {}
    child = parent.post("tenants/acme/tokens", {"name": "child", **soon}).json()
    body = {"username": child["id"], "password": child["secret"], "client_id": "flexvm", "grant_type": "password"}
    opened = log_in(body).json()
    assert programs_with(opened["access_token"])[0] == 200
    path = f"tenants/acme/tokens/{child['id'] if end == 'revoked' else parent.row.id}"  # type: ignore[union-attr]
    match end:
        case "revoked" | "parent":
            assert people.operator.delete(path).status_code == 204
        case "suspended":
            people.operator.patch("tenants/acme", {"status": "suspended"})
        case "network":
            with acting_as(SETUP):
                SessionToken.objects.get().token.__class__.objects.filter(id=child["id"]).update(
                    allowed_ips=["203.0.113.0/24"]
                )
    moment = clock.now() + timedelta(minutes=11 if end == "expired" else 0)
    with time_machine.travel(moment, tick=True):
        assert programs_with(opened["access_token"]) == SECURITY_TOKEN
        again = log_in({"client_id": "flexvm", "grant_type": "refresh_token", "refresh_token": opened["refresh_token"]})
        assert (again.status_code, again.json()) == (400, LOGIN_FAILED)


def test_an_access_token_ends_by_itself_and_costs_no_failure(people: People, settings: Any) -> None:
    settings.FLEXGATE_FAILURES_PER_ADDRESS = 1
    client = FlexClient(people.acme)
    with time_machine.travel(clock.now() + timedelta(seconds=3659), tick=True):
        assert client.call("programs/list")[0] == 200
    with time_machine.travel(clock.now() + timedelta(seconds=3661), tick=True):
        assert [client.call("programs/list") for _ in range(5)] == [SECURITY_TOKEN] * 5


def test_a_refresh_token_works_once_and_its_session_goes_on(people: People) -> None:
    first = log_in(login_body(people.acme)).json()
    body = {"client_id": "flexvm", "grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = log_in(body).json()
    assert second["status"] == "success"
    assert {programs_with(opened["access_token"])[0] for opened in (first, second)} == {200}
    assert log_in(body).json() == LOGIN_FAILED
    assert log_in(body | {"refresh_token": first["access_token"]}).json() == LOGIN_FAILED
    assert programs_with(second["refresh_token"]) == SECURITY_TOKEN
    third = {"client_id": "flexvm", "grant_type": "refresh_token", "refresh_token": second["refresh_token"]}
    with time_machine.travel(clock.now() + timedelta(seconds=86_401), tick=True):
        assert log_in(third).json() == LOGIN_FAILED


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_a_revoked_session_is_refused_whole(people: People, which: str) -> None:
    opened, other = (log_in(login_body(people.acme)).json() for _ in range(2))
    body = {"client_id": "flexvm", "token": opened[which]}
    answer = log_in(body, path=REVOKE_PATH)
    assert (answer.status_code, answer.json()) == (200, {"message": "successfully revoked", "status": "success"})
    assert log_in(body | {"token": "never-was"}, path=REVOKE_PATH).status_code == 200
    assert programs_with(opened["access_token"]) == SECURITY_TOKEN
    renew = {"client_id": "flexvm", "grant_type": "refresh_token", "refresh_token": opened["refresh_token"]}
    assert log_in(renew).json() == LOGIN_FAILED
    assert programs_with(other["access_token"])[0] == 200


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
@pytest.mark.parametrize("of", [0, 1, 2])
def test_what_was_renewed_dies_with_the_login_that_it_comes_from(people: People, which: str, of: int) -> None:
    """Whichever value of the chain is revoked, a thief who renewed it meanwhile has nothing."""
    chain = [log_in(login_body(people.acme)).json()]
    other = log_in(login_body(people.acme)).json()
    renew = {"client_id": "flexvm", "grant_type": "refresh_token"}
    for _ in range(2):
        chain.append(log_in(renew | {"refresh_token": chain[-1]["refresh_token"]}).json())
    assert [programs_with(opened["access_token"])[0] for opened in chain] == [200] * 3
    log_in({"client_id": "flexvm", "token": chain[of][which]}, path=REVOKE_PATH)
    assert [programs_with(opened["access_token"]) for opened in chain] == [SECURITY_TOKEN] * 3
    assert log_in(renew | {"refresh_token": chain[-1]["refresh_token"]}).json() == LOGIN_FAILED
    assert programs_with(other["access_token"])[0] == 200


def test_there_is_one_way_in(people: People) -> None:
    """An access token is none on our own API, and a token of that is none here."""
    client = FlexClient(people.acme)
    assert ApiClient(client.access_token).get("whoami").status_code == 401
    assert programs_with(str(people.acme.token)) == SECURITY_TOKEN
    for scheme in ("", "Basic x", f"bearer{client.access_token}", f"Token {client.access_token}"):
        answer = Client().post(API + "programs/list", headers={"Authorization": scheme})
        assert (answer.status_code, answer.json()) == SECURITY_TOKEN


def test_an_access_token_made_under_an_older_pepper_still_works(people: People, settings: Any) -> None:
    from tenants.token_secrets import peppers

    client = FlexClient(people.acme)
    old = settings.FLEXGATE_TOKEN_PEPPERS
    settings.FLEXGATE_TOKEN_PEPPERS = "new:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=" + "," + old
    peppers.cache_clear()
    try:
        assert client.call("programs/list")[0] == 200
        assert FlexClient(people.acme).call("programs/list")[0] == 200
    finally:
        settings.FLEXGATE_TOKEN_PEPPERS = old
        peppers.cache_clear()


def test_neither_value_is_stored_or_logged(people: People, capfd: pytest.CaptureFixture[str]) -> None:
    opened = log_in(login_body(people.acme)).json()
    with acting_as(SETUP):
        row = SessionToken.objects.values().get()
    kept = repr({name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()})
    out, err = capfd.readouterr()
    for value in (opened["access_token"], opened["refresh_token"], credentials(people.acme)["password"]):
        assert value not in kept + out + err


def test_old_sessions_are_forgotten_and_living_ones_stay(people: People) -> None:
    FlexClient(people.acme)
    assert forget_old_sessions() == 0
    with time_machine.travel(clock.now() + timedelta(days=2), tick=True):
        assert forget_old_sessions() == 1
    with acting_as(AUTHENTICATOR):
        assert not SessionToken.objects.exists()
    with acting_as(SETUP):
        forget_full_buckets()
