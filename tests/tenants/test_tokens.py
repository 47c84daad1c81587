"""Tokens: their format, their failures, their end."""

from datetime import timedelta

import pytest

from tenants import clock
from tenants.context import acting_as
from tenants.models import AuditEntry, Tenant, Token
from tenants.token_format import format_token, parse_token
from tests.people import SETUP, ApiClient, People, make_client

TELLS_NOTHING = "Send a valid, unexpired token as 'Authorization: Bearer …'."


def code_of(response: object) -> tuple[int, str]:
    return response.status_code, response.json()["code"]  # type: ignore[attr-defined]


def test_whoami_tells_the_token_about_itself(people: People) -> None:
    answer = people.acme_restricted.get("whoami").json()
    assert answer["tenant"] == "acme"
    assert (answer["kind"], answer["scopes"]) == ("tenant", ["entitlements:read"])


def test_a_token_survives_its_own_format(people: People) -> None:
    assert people.acme.token is not None
    presented = parse_token(people.acme.token, environment="test")
    assert presented is not None
    assert presented.token_id == people.acme.row.id  # type: ignore[union-attr]
    again = format_token(kind="tenant", environment="test", token_id=presented.token_id, secret=presented.secret)
    assert again == people.acme.token


@pytest.mark.parametrize("damage", ["cut", "typo", "other environment", "other kind", "empty", "not ours"])
def test_every_damaged_token_gets_the_one_answer(people: People, damage: str) -> None:
    good = str(people.acme.token)
    swapped = "a" if good[60] != "a" else "b"
    damaged = {
        "cut": good[:-3],
        "typo": good[:60] + swapped + good[61:],
        "other environment": good.replace("_test_", "_live_"),
        "other kind": good.replace("fxg_tenant", "fxg_operator"),
        "empty": "",
        "not ours": "ghp_0123456789",
    }[damage]
    response = ApiClient(damaged).get("whoami")
    assert code_of(response) == (401, "not_authenticated")
    assert response.json()["detail"] == TELLS_NOTHING
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_without_a_token_nothing_is_answered(people: People) -> None:
    assert code_of(people.nobody.get("entitlements")) == (401, "not_authenticated")


def test_an_expired_token_is_refused(people: People) -> None:
    client = make_client(slug="acme", expires_at=clock.now() + timedelta(hours=1))
    assert client.get("whoami").json()["tenant"] == "acme"
    with acting_as(SETUP):
        Token.objects.filter(id=client.row.id).update(expires_at=clock.now() - timedelta(seconds=1))  # type: ignore[union-attr]
    assert code_of(client.get("whoami")) == (401, "not_authenticated")


def test_a_revoked_token_is_refused_at_the_next_request(people: People) -> None:
    path = f"tenants/acme/tokens/{people.acme_restricted.row.id}"  # type: ignore[union-attr]
    assert people.acme_restricted.get("whoami").json()["tenant"] == "acme"
    assert people.acme.delete(path).content == b""
    assert code_of(people.acme_restricted.get("whoami")) == (401, "not_authenticated")
    with acting_as(SETUP):
        assert AuditEntry.objects.filter(action="token.revoked").count() == 1


def test_a_suspended_tenants_tokens_are_refused(people: People) -> None:
    assert people.operator.patch("tenants/acme", {"status": "suspended"}).json()["status"] == "suspended"
    assert code_of(people.acme.get("whoami")) == (401, "not_authenticated")
    assert people.globex.get("whoami").json()["tenant"] == "globex"


def test_a_token_is_refused_from_a_network_that_is_not_allowed(people: People) -> None:
    client = make_client(slug="acme", allowed_ips=["192.0.2.0/24"])
    assert code_of(client.get("whoami")) == (401, "not_authenticated")
    local = make_client(slug="acme", allowed_ips=["127.0.0.0/8"])
    assert local.get("whoami").json()["tenant"] == "acme"


def test_the_secret_is_in_the_201_and_nowhere_else(people: People) -> None:
    made = people.acme.post("tenants/acme/tokens", {"name": "ci", "scopes": ["entitlements:read"]}).json()
    assert made["token"].startswith("fxg_tenant_test_")
    assert made["secret"] in made["token"]
    listed = people.acme.get(f"tenants/acme/tokens/{made['id']}")
    assert listed.json()["name"] == "ci"
    assert made["secret"] not in listed.content.decode()
    with acting_as(SETUP):
        row = Token.objects.get(id=made["id"])
        kept = str([getattr(row, field.name) for field in Token._meta.get_fields() if field.concrete])
        audited = str(list(AuditEntry.objects.values_list("after", flat=True)))
    assert made["secret"] not in kept + audited


def test_a_token_makes_only_children_with_no_more_than_its_own_scopes(people: People) -> None:
    limited = make_client(slug="acme", scopes=["tokens:write", "entitlements:read"])
    refused = limited.post("tenants/acme/tokens", {"name": "more", "scopes": ["entitlements:write"]})
    assert code_of(refused) == (400, "invalid")
    assert refused.json()["errors"][0]["pointer"] == "/scopes"
    assert limited.post("tenants/acme/tokens", {"name": "less", "scopes": ["entitlements:read"]}).status_code == 201


def test_a_strangers_tenant_answers_as_one_that_never_was(people: People) -> None:
    foreign = people.globex.post("tenants/acme/tokens", {"name": "x"})
    unknown = people.globex.post("tenants/no-such/tokens", {"name": "x"})
    assert code_of(foreign) == code_of(unknown) == (404, "not_found")
    assert foreign.json()["detail"] == unknown.json()["detail"]


def test_a_rotated_token_lives_on_for_the_overlap_alone(people: People) -> None:
    old = people.acme_restricted
    path = f"tenants/acme/tokens/{old.row.id}/rotate"  # type: ignore[union-attr]
    new = people.operator.post(path, {"overlap_seconds": 60}).json()
    assert ApiClient(new["token"]).get("whoami").json()["scopes"] == ["entitlements:read"]
    assert old.get("whoami").json()["tenant"] == "acme"
    people.operator.post(f"tenants/acme/tokens/{new['id']}/rotate", {"overlap_seconds": 0})
    assert code_of(ApiClient(new["token"]).get("whoami")) == (401, "not_authenticated")


def test_a_tenant_token_always_expires(people: People) -> None:
    assert people.acme.get("whoami").json()["expires_at"] is not None
    far = (clock.now() + timedelta(days=400)).isoformat()
    refused = people.acme.post("tenants/acme/tokens", {"name": "x", "expires_at": far})
    assert refused.json()["errors"][0]["pointer"] == "/expires_at"


def test_the_last_use_is_written_once_a_minute(people: People) -> None:
    people.acme.get("whoami")
    with acting_as(SETUP):
        first = Token.objects.get(id=people.acme.row.id).last_used_at  # type: ignore[union-attr]
    people.acme.get("whoami")
    with acting_as(SETUP):
        token = Token.objects.get(id=people.acme.row.id)  # type: ignore[union-attr]
        assert token.last_used_at == first
        assert token.last_used_from == "127.0.0.1"
        assert Tenant.objects.count() == 2
