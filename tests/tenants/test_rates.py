"""Rates: per token family, per tenant, per failing address; told in headers, shared over processes, and nobody pays for another."""

import threading
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tenants.actors import AUTHENTICATOR
from tenants.context import acting_as
from tenants.models import RateBucket
from tenants.rate_limits import Rate, forget_full_buckets, has_room
from tests.databases import OwnDatabase
from tests.people import SETUP, ApiClient, People, make_client


@pytest.fixture
def slow(settings: Any) -> Any:
    settings.FLEXGATE_REQUESTS_PER_TOKEN = 5
    settings.FLEXGATE_REQUESTS_PER_TENANT = 8
    settings.FLEXGATE_FAILURES_PER_ADDRESS = 3
    return settings


def ask(client: ApiClient, times: int) -> list[int]:
    return [client.get("whoami").status_code for _ in range(times)]


def test_a_token_is_refused_beyond_its_rate_and_told_when_to_come_back(people: People, slow: Any) -> None:
    first = people.acme.get("whoami")
    assert first["RateLimit-Policy"] == '"token";q=5;w=60, "tenant";q=8;w=60'
    assert first["RateLimit"] == '"token";r=4;t=12, "tenant";r=7;t=8'
    assert ask(people.acme, 4) == [200] * 4
    refused = people.acme.get("whoami")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused["Retry-After"]) <= 12
    assert refused["RateLimit"].startswith('"token";r=0;')
    assert people.globex.get("whoami").status_code == 200


def test_children_share_their_familys_rate_and_all_tokens_the_tenants(people: People, slow: Any) -> None:
    child = ApiClient(people.acme.post("tenants/acme/tokens", {"name": "child"}).json()["token"])
    assert ask(people.acme, 2) + ask(child, 3) == [200] * 4 + [429]
    other = make_client(slug="acme")
    assert ask(other, 5) == [200, 200, 200, 429, 429], "five of the family and three of this one are the tenant's eight"
    assert ask(people.globex, 1) == [200]


def test_a_tenants_own_limit_goes_first(people: People, slow: Any) -> None:
    people.operator.patch("tenants/acme", {"limits": {"requests_per_minute": 2}})
    assert ask(people.acme, 3) == [200, 200, 429]
    assert people.operator.get("whoami").json()["rates"] == {"token": 1_000_000}


def test_a_refused_request_is_counted_against_nobody(people: People, slow: Any) -> None:
    people.operator.patch("tenants/acme", {"limits": {"requests_per_minute": 2}})
    ask(people.acme, 6)
    with acting_as(SETUP):
        used = RateBucket.objects.get(key=f"token:{people.acme.row.id}").full_at - timezone.now()  # type: ignore[union-attr]
    assert 20 < used.total_seconds() <= 24, "two of five in a minute, twelve seconds each"


def test_failures_slow_their_own_address_and_no_valid_token(people: People, slow: Any) -> None:
    wrong = ApiClient("fxg_tenant_test_nonsense")
    assert ask(wrong, 5) == [401, 401, 401, 429, 429]
    assert people.acme.get("whoami").status_code == 200
    assert wrong.get("whoami")["Retry-After"].isdigit()


def test_one_address_never_locks_out_another(people: People, slow: Any) -> None:
    slow.FLEXGATE_PROXIES = 1
    wrong = ApiClient("fxg_tenant_test_nonsense")

    def fail(address: str) -> int:
        return int(wrong.get("whoami", X_Forwarded_For=address).status_code)

    assert [fail("198.51.100.7") for _ in range(4)] == [401, 401, 401, 429]
    assert fail("198.51.100.8") == 401
    assert [fail(f"2001:db8:0:1::{n}") for n in range(4)] == [401, 401, 401, 429], "one customer's /64 is one caller"
    assert fail("2001:db8:0:2::1") == 401


def test_what_is_free_again_is_forgotten(people: People) -> None:
    with acting_as(AUTHENTICATOR):
        assert has_room(Rate("x", "spent", 1))
        assert not has_room(Rate("x", "spent", 1))
        RateBucket.objects.create(key="old", full_at="2020-01-01T00:00:00Z")
    with acting_as(SETUP):
        forget_full_buckets()
        assert set(RateBucket.objects.filter(key__in=["spent", "old"]).values_list("key", flat=True)) == {"spent"}


def buckets() -> dict[str, float]:
    with acting_as(AUTHENTICATOR), connection.cursor() as cursor:
        cursor.execute("SELECT key, extract(epoch FROM full_at)::float8 FROM tenants_ratebucket")
        return dict(cursor.fetchall())


def test_a_token_that_was_let_in_lately_is_looked_up_and_counted_in_one_step(people: People) -> None:
    people.acme.get("tenants")
    with CaptureQueriesContext(connection) as asked:
        assert people.acme.get("operations").status_code == 200
    first = asked.captured_queries[0]["sql"]
    assert [first.count(text) for text in ("set_config('role'", "FROM tenants_token ", "INTO tenants_ratebucket ")] == [
        2,
        2,
        1,
    ], "as the authenticator, and back"
    assert not any("flexgate_auth" in query["sql"] for query in asked.captured_queries[1:])


def test_whoever_knows_an_id_alone_uses_up_nothing(people: People) -> None:
    people.acme.get("tenants")
    before, text = buckets(), str(people.acme.token)
    wrong = f"{text[:-12]}{'a' * 12}"
    for stranger in (wrong, f"{wrong[:-1]}b"):
        assert ApiClient(stranger).get("tenants").status_code == 401
    assert {key: at for key, at in buckets().items() if "failed" not in key} == before


def test_a_revoked_token_counts_once_more_at_most(people: People) -> None:
    assert people.acme.row is not None
    people.acme.get("tenants")
    assert people.operator.delete(f"tenants/acme/tokens/{people.acme.row.id}").status_code == 204
    assert people.acme.get("tenants").status_code == 401
    before = buckets()
    assert people.acme.get("tenants").status_code == 401
    ours = f"token:{people.acme.row.family or people.acme.row.id}"
    assert buckets()[ours] == before[ours]


def test_new_limits_are_in_force_with_the_next_request(people: People, slow: Any) -> None:
    for _ in range(2):
        assert people.acme.get("tenants").headers["RateLimit-Policy"].endswith('"tenant";q=8;w=60')
    people.operator.patch("tenants/acme", {"limits": {"requests_per_minute": 7}})
    answer = people.acme.get("tenants")
    assert '"tenant";q=7;w=60' in answer.headers["RateLimit-Policy"]


def test_what_a_request_counts_against_is_not_swept_away_under_it(own_database: OwnDatabase) -> None:
    """Nor waited for: a request takes several in one order, and the sweep in another."""
    held, let_go = threading.Event(), threading.Event()
    with acting_as(AUTHENTICATOR):
        for key in ("old", "in use"):
            RateBucket.objects.create(key=key, full_at="2020-01-01T00:00:00Z")

    def hold() -> None:
        with acting_as(AUTHENTICATOR):
            RateBucket.objects.select_for_update().get(key="in use")
            held.set()
            let_go.wait(10)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    try:
        with acting_as(SETUP):
            assert forget_full_buckets() == 1
    finally:
        let_go.set()
        holder.join()
    with acting_as(SETUP):
        assert list(RateBucket.objects.values_list("key", flat=True)) == ["in use"]
