"""Every answer has FortiFlex's form, whatever was sent and wherever it failed; and Fortinet's names are ours on its paths alone."""

import json
from typing import Any

import pytest
from django.test import Client

from gateway.dropin.calls import CALLS
from gateway.dropin.envelope import dump, write_number
from tenants.actors import Actor
from tests.gateway.dropin.clients import API, TOKEN_PATH, FlexClient, login_body, refused
from tests.people import People, make_client
from tests.worlds import PROGRAM, SandboxWorld

DENIED = (403, refused("Authorization denied."))
NO_PATH = (404, refused("There is no such path here."))


def ask(path: str, method: str = "POST", raw: bytes = b"", **headers: str) -> tuple[int, Any]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = Client().generic(method, path, data=raw, content_type="application/json", headers=given)
    assert answer["Content-Type"] == "application/json; charset=utf-8"
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    "path",
    [
        "/es/api/fortiflex/v2/programs/list",
        "/Es/API/FortiFlex/V2/Programs/List",
        "/ES/api//fortiflex/v2/programs/list",
        "/ES/api/fortiflex/v2/programs/list/",
        "/ES//api/fortiflex//v2/programs//list//",
        "/ES/api/flexvm/fortiflex/v2/programs/list",
    ],
)
def test_paths_are_found_in_any_case_and_with_doubled_slashes(acme: FlexClient, path: str) -> None:
    assert acme.call(path) == acme.call("programs/list")
    assert acme.call(path)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/ES",
        "/es/",
        "/ES/api",
        API,
        f"{API}nope",
        "/ES/api/flexvm/v1/vms/list",
        "/ES/api/registration/v3/products/list",
    ],
)
def test_unknown_paths_are_404_to_everybody(acme: FlexClient, path: str) -> None:
    assert ask(path) == acme.call(path) == NO_PATH


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_405(db: None, method: str) -> None:
    assert ask(API + "programs/list", method) == (405, refused("Only POST is allowed here."))
    status, told = ask(TOKEN_PATH, method)
    assert (status, told["status"], told["message"]) == (405, -1, "Only POST is allowed here.")


@pytest.mark.parametrize("raw", [b"", b"  ", b'""', b"{}", b"null", b'{"unknown": [1, {"a": 2}]}'])
def test_bodies_that_say_nothing_are_empty_ones(acme: FlexClient, raw: bytes) -> None:
    assert acme.call("programs/list", raw) == acme.call("programs/list")


def test_a_request_without_a_content_length_is_an_empty_one(acme: FlexClient) -> None:
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": API + "programs/list",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
    }
    environ |= {"HTTP_AUTHORIZATION": f"Bearer {acme.access_token}", "CONTENT_TYPE": "application/json"}
    answer = acme.http.request(**environ)
    assert (answer.status_code, answer.json()["status"]) == (200, 0)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"[]", "The body must be a JSON object."),
        (b"7", "The body must be a JSON object."),
        (b'{"configId": 1, "configId": 1}', "The body names a key twice: configId."),
        (b'{"a": NaN}', "The body is not JSON: NaN is no number."),
        (b"\xff", "The body is not JSON in UTF-8."),
        (b'{"configId": 7, "serialNumber": "\xed\xa0\x80"}', "The body is not JSON in UTF-8."),
        ('{"configId": 7}'.encode("utf-16"), "The body is not JSON in UTF-8."),
        (
            b'{"configId": 7, "serialNumber": "\\uD800"}',
            "The body holds half of a surrogate pair, which is no character.",
        ),
        (b'{"configId": "7 or 1=1"}', "Invalid value for configId."),
        (b'{"configId": true}', "Invalid value for configId."),
        (b'{"configId": 1.5}', "Invalid value for configId."),
        (b'{"configId": 1e400}', "Invalid value for configId."),
        (b'{"configId": 99999999999999999999}', "Invalid value for configId."),
        (b'{"configId": [7]}', "Invalid value for configId."),
        (b'{"configId": 7, "serialNumber": 8}', "Configuration not found."),
        (b'{"programSerialNumber": {"$ne": 1}}', "Invalid value for programSerialNumber."),
        (b'{"programSerialNumber": "a\\u0000b"}', "Invalid value for programSerialNumber."),
    ],
)
def test_bad_bodies_are_refused_with_a_sentence(acme: FlexClient, raw: bytes, message: str) -> None:
    assert acme.call("entitlements/list", raw) == (400, refused(message))


def test_ids_may_be_numbers_or_digits(acme: FlexClient, offered: int) -> None:
    for given in (offered, str(offered), f" {offered} ", float(offered)):
        raw = json.dumps({"configId": given}).encode()
        assert acme.call("entitlements/list", raw)[0] == 200, given


@pytest.mark.parametrize(
    ("headers", "raw", "status"),
    [
        ({"Host": "evil.example"}, b"", 400),
        ({"Content_Length": "x"}, b"", 400),
        ({"Content_Length": str(2**21)}, b"", 413),
        ({"Transfer_Encoding": "chunked", "Content_Length": ""}, b"", 411),
    ],
)
@pytest.mark.parametrize("path", [API + "programs/list", "/es//api/nope", TOKEN_PATH, "/Api/v1//oauth/token"])
def test_what_fails_before_a_view_has_the_form_too(
    db: None, path: str, headers: dict[str, str], raw: bytes, status: int
) -> None:
    found, told = ask(path, raw=raw, **headers)
    assert (found, told["status"], bool(told["message"])) == (status, -1, True)


@pytest.mark.parametrize("host", ["support.fortinet.com", "customerapiauth.fortinet.com:443", "SUPPORT.Fortinet.COM"])
def test_fortinets_names_are_accepted_on_these_paths_alone(people: People, host: str) -> None:
    assert ask(API + "programs/list", Host=host) == (401, refused("Invalid security token."))
    body = json.dumps(login_body(people.acme)).encode()
    assert ask("/api/v1/oauth/token", raw=body, Host=host)[0] == 200
    for path in ("/api/v1/whoami", "/api/v1/oauth", "/admin/login/", "/metrics", "/", "/ESX/api"):
        answer = Client().get(path, headers={"Host": host})
        assert answer.status_code == 400, path
        assert answer.json()["code"] == "invalid"


def test_other_names_can_be_set(db: None, settings: Any) -> None:
    settings.FLEXGATE_DROPIN_HOSTS = ["flex.msp.example"]
    assert ask(API + "programs/list", Host="flex.msp.example")[0] == 401
    assert ask(API + "programs/list", Host="support.fortinet.com")[0] == 400


def test_switched_off_the_paths_are_none(people: People, settings: Any) -> None:
    settings.FLEXGATE_DROPIN = False
    for path in (API + "programs/list", TOKEN_PATH):
        answer = Client().generic(
            "POST", path, data=json.dumps(login_body(people.acme)), content_type="application/json"
        )
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        answer = Client().generic("POST", path, headers={"Host": "support.fortinet.com"})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


def test_too_many_requests_are_429_with_status_minus_10(people: People, world: SandboxWorld) -> None:
    client = FlexClient(people.acme)
    people.operator.patch("tenants/acme", {"limits": {"requests_per_minute": 2}})
    answers = [
        client.http.generic("POST", API + "programs/list", headers={"Authorization": f"Bearer {client.access_token}"})
        for _ in range(4)
    ]
    assert [answer.status_code for answer in answers][-1] == 429
    told = answers[-1].json()
    assert (told["status"], told["error"], set(told)) == (-10, None, {"status", "message", "error"})
    assert int(answers[-1]["Retry-After"]) > 0


def test_an_error_of_ours_is_500_in_the_form_and_tells_nothing(
    acme: FlexClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Actor, "may", lambda self, scope: 1 / 0)
    status, told = acme.call("programs/list")
    assert (status, told) == (500, refused("Something went wrong on our side. It was logged under this request id."))


def test_a_scope_that_is_missing_is_403_for_every_call_and_is_on_record(people: People, world: SandboxWorld) -> None:
    client = FlexClient(make_client(slug="acme", scopes=["budgets:read"]))
    assert {path: client.call(path, {"configId": world.config_id}) for path in CALLS} == dict.fromkeys(CALLS, DENIED)
    assert world.calls_of("entitlements/vm/create") == []


def test_reading_is_no_writing(people: People, world: SandboxWorld, offered: int) -> None:
    client = FlexClient(make_client(slug="acme", scopes=["entitlements:read", "configs:read", "programs:read"]))
    allowed = {path for path in CALLS if client.call(path, {"programSerialNumber": PROGRAM})[0] != 403}
    assert allowed == {"programs/list", "programs/points", "configs/list", "entitlements/list", "groups/list"}
    switch = FlexClient(make_client(slug="acme", scopes=["entitlements:switch"]))
    allowed = {path for path in CALLS if switch.call(path, {})[0] != 403}
    assert allowed == {"entitlements/stop", "entitlements/reactivate"}


@pytest.mark.parametrize(
    ("number", "text"),
    [("6.3900", "6.39"), ("107.2000", "107.2"), ("100.0000", "100"), ("0.0000", "0"), ("-0.0000", "0"), ("0.0001", "0.0001"),
     ("99999999999999999999.9999", "99999999999999999999.9999"), ("1E+3", "1000")],
)  # fmt: skip
def test_points_are_numbers_with_exactly_their_digits(number: str, text: str) -> None:
    from decimal import Decimal

    assert write_number(Decimal(number)) == text
    assert dump({"points": Decimal(number)}) == f'{{"points":{text}}}'.encode()
