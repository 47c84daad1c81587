"""A creation begins before its token is looked up again: whatever became of the token since is seen before anything is sent or answered."""

import contextlib
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from gateway import catalogue
from gateway.models import Config, Operation, ProductCatalogue, UpstreamCall, UpstreamLane
from tenants import authentication, body_slots, clock, ids, known_tokens, token_lookup
from tenants.actors import AUTHENTICATOR
from tenants.authentication import LAST_USE_PRECISION, SMALL_BODY
from tenants.context import acting_as
from tenants.models import AuditEntry, RateBucket, Tenant, Token
from tenants.presumption import is_confirmed
from tenants.token_format import format_token
from tests.databases import OwnDatabase
from tests.people import SETUP, ApiClient, People, make_client, make_people
from tests.worlds import SandboxWorld, make_world

PER_TOKEN, PER_TENANT = 15, 20  # so few that nothing is free again while a test runs


@pytest.fixture
def people(own_database: OwnDatabase, settings: Any) -> People:
    settings.FLEXGATE_REQUESTS_PER_TOKEN, settings.FLEXGATE_REQUESTS_PER_TENANT = PER_TOKEN, PER_TENANT
    return make_people()


@pytest.fixture
def world(people: People) -> SandboxWorld:
    return make_world()


@pytest.fixture
def config(people: People, world: SandboxWorld) -> int:
    """Acme's own. Price, config and token are known once it has made two under it."""
    with acting_as(SETUP):
        Config.objects.update(tenant=People.tenant("acme"))
    warm_up(people.acme, world.config_id)
    return world.config_id


@pytest.fixture
def child(people: People, config: int) -> ApiClient:
    """A token that acme's token has made."""
    made = people.acme.post("tenants/acme/tokens", {"name": "child"}).json()
    with acting_as(SETUP):
        client = ApiClient(made["token"], Token.objects.get(id=made["id"]))
    warm_up(client, config)
    return client


@pytest.fixture
def presumed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who was presumed, one for each request that began so."""
    seen, presume = list[str](), authentication.presume

    def watch(presumption: Any) -> None:
        seen.append(str(presumption.asks().values[2]))
        presume(presumption)

    monkeypatch.setattr(authentication, "presume", watch)
    return seen


def create(client: ApiClient, config: int, **headers: str) -> Any:
    return client.post("entitlements", {"config": config}, **headers)


def warm_up(client: ApiClient, config: int) -> None:
    for _ in range(2):
        assert create(client, config).status_code == 201


def sent(world: SandboxWorld) -> int:
    return len(world.calls_of("entitlements/vm/create"))


def journaled() -> int:
    with acting_as(SETUP):
        return Operation.objects.count()


def counts(client: ApiClient) -> Callable[[], set[int]]:
    """How often each of its rates was counted against since this call, by how far that moved the time at which all of it is free again."""
    assert client.row is not None
    costs = {
        f"token:{client.row.family or client.row.id}": 60 / PER_TOKEN,
        f"tenant:{client.row.tenant_id}": 60 / PER_TENANT,
    }

    def read() -> dict[str, Any]:
        with acting_as(SETUP):
            return dict(RateBucket.objects.filter(key__in=costs).values_list("key", "full_at"))

    before = read()
    return lambda: {round((at - before[key]).total_seconds() / costs[key]) for key, at in read().items()}


def change(**columns: Any) -> Callable[[ApiClient], None]:
    def write(client: ApiClient) -> None:
        assert client.row is not None
        with acting_as(SETUP):
            Token.objects.filter(id=client.row.id).update(**columns)

    return write


def change_tenant(**columns: Any) -> Callable[[ApiClient], None]:
    def write(_: ApiClient) -> None:
        with acting_as(SETUP):
            Tenant.objects.filter(slug="acme").update(**columns)

    return write


def revoke_parent(client: ApiClient) -> None:
    assert client.row is not None
    with acting_as(SETUP):
        Token.objects.filter(id__in=client.row.ancestors).update(revoked_at=clock.now())


PAST = clock.now() - timedelta(days=1)
ENDS: dict[str, tuple[Callable[[ApiClient], None], str]] = {
    "revoked": (change(revoked_at=PAST), "revoked"),
    "expired": (change(expires_at=PAST), "expired"),
    "another network": (change(allowed_ips=["198.51.100.0/24"]), "network_not_allowed"),
    "its parent revoked": (revoke_parent, "parent_ended"),
    "tenant suspended": (change_tenant(status="suspended"), "tenant_suspended"),
    "another secret": (change(secret_hash=b"x" * 32), "wrong_secret"),
}


def test_it_is_let_in_and_counted_in_the_step_that_sends(people: People, config: int, presumed: list[str]) -> None:
    assert people.acme.row is not None
    counted = counts(people.acme)
    with CaptureQueriesContext(connection) as asked:
        answer = create(people.acme, config)
    assert (answer.status_code, presumed) == (201, [str(people.acme.row.id)])
    spoken = [query["sql"] for query in asked if query["sql"] not in {"BEGIN", "COMMIT"}]
    assert len(spoken) == 2
    assert "INTO tenants_ratebucket" in spoken[0]
    assert counted() == {1}
    assert answer["RateLimit"].startswith('"token";r=')
    assert answer["RateLimit-Policy"].count("q=") == 2


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("body", ["right", "wrong"])
def test_what_was_ended_meanwhile_is_let_in_no_more(
    name: str, body: str, people: People, world: SandboxWorld, config: int, child: ApiClient, presumed: list[str]
) -> None:
    """Also where the body alone would have been refused: it says nothing to whoever is not let in."""
    end, reason = ENDS[name]
    before = sent(world), journaled()
    end(child)
    answer = child.post("entitlements", {"config": config} if body == "right" else {"config": "x", "y": 1})
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert len(presumed) == 1
    assert (sent(world), journaled()) == before
    with acting_as(SETUP):
        assert AuditEntry.objects.get(action="token.refused").after == {"reason": reason}
        assert not UpstreamCall.objects.filter(at__gt=clock.now()).exists()
        assert UpstreamLane.objects.get().holder is None
    again = create(child, config)
    assert (again.status_code, len(presumed)) == (401, 1), "it is known no more"


def test_a_refused_token_uses_up_no_rate(people: People, config: int, presumed: list[str]) -> None:
    change(revoked_at=PAST)(people.acme)
    counted = counts(people.acme)
    assert create(people.acme, config).status_code == 401
    # The look-up that finds out why counts once, as ever (test_rates).
    assert counted() == {1}


def test_a_refused_token_is_known_no_more_wherever_it_was_refused(
    people: People, config: int, presumed: list[str], settings: Any
) -> None:
    settings.FLEXGATE_FAILURES_PER_ADDRESS = 1
    assert ApiClient("fxg_nonsense").get("whoami").status_code == 401
    change(revoked_at=PAST)(people.acme)
    answer = create(people.acme, config)
    assert (answer.status_code, len(presumed)) == (429, 1)
    assert "failed sign-ins" in answer.json()["detail"]
    assert people.acme.row is not None
    assert people.acme.row.id not in known_tokens._known


def test_scopes_that_were_taken_away_are_gone(people: People, config: int, presumed: list[str]) -> None:
    change(scopes=["entitlements:read"])(people.acme)
    before = journaled()
    answer = create(people.acme, config)
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert (len(presumed), journaled()) == (1, before)


def test_scopes_that_were_given_are_there(people: People, config: int, presumed: list[str]) -> None:
    reader = make_client(slug="acme", scopes=["entitlements:read"])
    for _ in range(2):
        assert create(reader, config).status_code == 403
    change(scopes=["entitlements:write"])(reader)
    assert create(reader, config).status_code == 201
    assert presumed


def test_a_token_that_was_narrowed_makes_what_it_may(people: People, config: int, presumed: list[str]) -> None:
    change(narrowed=True)(people.acme)
    answer = create(people.acme, config)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/config")
    assert len(presumed) == 1


@pytest.mark.parametrize(
    ("limits", "code"), [({"entitlements": 1}, "quota_exceeded"), ({"products": [7]}, "quota_exceeded")]
)
def test_limits_that_were_set_meanwhile_hold(
    limits: dict[str, Any], code: str, people: People, world: SandboxWorld, config: int, presumed: list[str]
) -> None:
    before, counted = sent(world), counts(people.acme)
    change_tenant(limits=limits)(people.acme)
    answer = create(people.acme, config)
    assert (answer.status_code, answer.json()["code"], len(presumed)) == (409, code, 1)
    assert sent(world) == before
    assert counted() == {1}


def test_new_rates_hold_at_once(people: People, config: int, presumed: list[str]) -> None:
    change_tenant(limits={"requests_per_minute": 70})(people.acme)
    answer = create(people.acme, config)
    assert (answer.status_code, len(presumed)) == (201, 1)
    assert answer["RateLimit-Policy"].endswith('"tenant";q=70;w=60')


def test_beyond_its_rate_nothing_is_journaled_or_sent(
    people: People, world: SandboxWorld, config: int, presumed: list[str], settings: Any
) -> None:
    settings.FLEXGATE_REQUESTS_PER_TOKEN = 5
    known_tokens._known.clear()
    with acting_as(SETUP):
        RateBucket.objects.all().delete()
    answers = [create(people.acme, config) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [201] * 5 + [429] * 2
    assert len(presumed) == 5, "who was refused once is looked up first, and stands in nobody's lane"
    refused = answers[-1]
    assert refused.json()["code"] == "rate_limited"
    assert 1 <= int(refused["Retry-After"]) <= 12
    assert refused["RateLimit"].startswith('"token";r=0;')
    assert (sent(world), journaled()) == (7, 7)
    assert [answer.json() | {"request_id": ""} for answer in answers[-2:-1]] == [refused.json() | {"request_id": ""}]
    assert refused["RateLimit"].split(", ")[1].startswith(f'"tenant";r={PER_TENANT - 5};'), (
        "what was refused is counted against nobody"
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [({"config": "x"}, 400), ({"config": 1}, 400), ({"config": 1, "count": 0}, 400), (b"{", 400)],
)
def test_a_wrong_body_is_refused_as_ever_and_counted_once(
    body: Any, status: int, people: People, config: int, presumed: list[str]
) -> None:
    counted = counts(people.acme)
    answer = people.acme.post("entitlements", body)
    assert (answer.status_code, len(presumed)) == (status, 1), answer.content
    assert answer["RateLimit"].startswith('"token";r=')
    assert counted() == {1}


@pytest.mark.parametrize("headers", [{"Idempotency_Key": "k"}, {"Prefer": "respond-async"}, {"Prefer": "wait=0"}])
def test_on_the_longer_way_too_it_is_counted_once(
    headers: dict[str, str], people: People, config: int, presumed: list[str]
) -> None:
    counted = counts(people.acme)
    assert create(people.acme, config, **headers).status_code in {201, 202}
    assert len(presumed) == 1
    assert counted() == {1}


def test_where_the_lane_is_taken_it_is_let_in_all_the_same(people: People, config: int, presumed: list[str]) -> None:
    counted = counts(people.acme)
    with acting_as(SETUP):
        UpstreamLane.objects.update(holder=ids.new_id(), held_until=clock.now() + timedelta(seconds=60))
    answer = create(people.acme, config, Prefer="wait=1")
    assert (answer.status_code, answer.json()["operation"]["state"], len(presumed)) == (202, "planned", 1)
    assert counted() == {1}


def test_what_another_process_noted_of_its_use_changes_nothing(
    people: People, config: int, presumed: list[str]
) -> None:
    counted = counts(people.acme)
    change(last_used_at=clock.now())(people.acme)
    for _ in range(2):
        assert create(people.acme, config).status_code == 201
    assert len(presumed) == 2
    assert counted() == {2}


def test_what_was_noted_just_now_is_looked_up_once_more(people: People, config: int, presumed: list[str]) -> None:
    assert people.acme.row is not None
    long_ago = clock.now() - LAST_USE_PRECISION
    change(last_used_at=long_ago)(people.acme)
    known_tokens._known.clear()
    for _ in range(3):
        assert create(people.acme, config).status_code == 201
    with acting_as(SETUP):
        assert Token.objects.get(id=people.acme.row.id).last_used_at > long_ago  # type: ignore[operator]
    assert len(presumed) == 1, "noted, looked up again, presumed"


def test_nobody_is_presumed_for_longer_than_their_use_need_not_be_noted(
    people: People, config: int, presumed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert people.acme.row is not None
    monkeypatch.setattr(authentication, "LAST_USE_PRECISION", timedelta(0))
    now = clock.now()
    assert create(people.acme, config).status_code == 201
    with acting_as(SETUP):
        assert Token.objects.get(id=people.acme.row.id).last_used_at > now  # type: ignore[operator]
    assert presumed == []


def test_nobody_is_presumed_by_another_secret(people: People, config: int, presumed: list[str]) -> None:
    assert people.acme.row is not None
    wrong = format_token(kind="tenant", environment="test", token_id=people.acme.row.id, secret="a" * 40)
    assert create(ApiClient(wrong), config).status_code == 401
    assert presumed == []


def test_only_a_tenants_whole_token_with_a_small_body_is_presumed(
    people: People, config: int, presumed: list[str]
) -> None:
    narrowed = make_client(slug="acme", configs=[config])
    for _ in range(3):
        assert create(narrowed, config).status_code == 201
        assert people.operator.post("entitlements", {"config": config, "tenant": "acme"}).status_code == 201
        assert people.acme.get("entitlements").status_code == 200
        padding = " " * SMALL_BODY
        assert people.acme.post("entitlements", f'{{"config": {config}}}{padding}'.encode()).status_code == 201
    assert presumed == []


def test_a_revocation_during_the_wait_for_the_lane_is_seen(
    people: People, world: SandboxWorld, config: int, presumed: list[str]
) -> None:
    """It is asked behind the lock: what was revoked while that was waited for sends nothing."""
    held, let_go, before = threading.Event(), threading.Event(), (sent(world), journaled())

    def hold_lane() -> None:
        with acting_as(SETUP):
            list(UpstreamLane.objects.select_for_update())
            held.set()
            let_go.wait(10)
        connections.close_all()

    def revoke() -> None:
        change(revoked_at=PAST)(people.acme)
        let_go.set()
        connections.close_all()

    holder = threading.Thread(target=hold_lane)
    holder.start()
    held.wait(10)
    revoker = threading.Timer(0.3, revoke)
    revoker.start()
    answer = create(people.acme, config)
    for thread in (revoker, holder):
        thread.join()
    assert (answer.status_code, len(presumed)) == (401, 1)
    assert (sent(world), journaled()) == before


def test_what_has_run_out_when_it_is_sent_is_looked_at_closely(
    people: People, config: int, presumed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one end that nobody writes down."""
    assert people.acme.row is not None
    assert people.acme.row.expires_at is not None
    looked_at, ends, admit = list[str](), people.acme.row.expires_at, authentication.admit

    def watch(text: str, address: str) -> Token:
        looked_at.append(text)
        return admit(text, address)

    monkeypatch.setattr(authentication, "admit", watch)
    for late, number in ((-1, 0), (0, 1)):
        at = ends + timedelta(seconds=late)
        monkeypatch.setattr(token_lookup, "clock", SimpleNamespace(now=lambda at=at: at))
        assert create(people.acme, config).status_code == 201
        assert len(looked_at) == number


def test_another_catalogue_is_no_way_around(
    people: People, world: SandboxWorld, config: int, presumed: list[str]
) -> None:
    """What a creation stands on is asked for in the middle of its preparation, where a refusal of it only means the longer way."""
    with acting_as(SETUP):
        ProductCatalogue.objects.update(fetched_at=clock.now())
    assert people.globex.get("products").status_code == 200
    change(revoked_at=PAST)(people.acme)
    before = sent(world), journaled()
    assert (create(people.acme, config).status_code, len(presumed)) == (401, 1)
    assert (sent(world), journaled()) == before


def test_where_there_is_no_catalogue_rates_hold_too(
    people: People, config: int, presumed: list[str], settings: Any
) -> None:
    settings.FLEXGATE_REQUESTS_PER_TOKEN = 5
    known_tokens._known.clear()
    with acting_as(SETUP):
        ProductCatalogue.objects.update(api_url="https://elsewhere.example")
        RateBucket.objects.all().delete()
    catalogue._read.clear()
    assert [create(people.acme, config).status_code for _ in range(7)] == [201] * 5 + [429] * 2
    assert presumed


def test_the_lane_is_not_held_while_a_rate_is_waited_for(people: People, config: int, presumed: list[str]) -> None:
    """The rate is one tenant's, the lane everybody's."""
    held, let_go, waited = threading.Event(), threading.Event(), list[float]()

    def hold_rate() -> None:
        with acting_as(AUTHENTICATOR):
            list(RateBucket.objects.select_for_update().filter(key__startswith="tenant:"))
            held.set()
            let_go.wait(10)
        connections.close_all()

    def take_lane() -> None:
        time.sleep(0.3)
        began = time.monotonic()
        with acting_as(SETUP):
            list(UpstreamLane.objects.select_for_update())
        waited.append(time.monotonic() - began)
        let_go.set()
        connections.close_all()

    threads = [threading.Thread(target=hold_rate), threading.Thread(target=take_lane)]
    threads[0].start()
    held.wait(10)
    threads[1].start()
    assert create(people.acme, config).status_code == 201
    for thread in threads:
        thread.join()
    assert waited[0] < 0.5
    assert presumed


@pytest.mark.parametrize("body", [b"{", b'{"config": 1, "config": 2}'])
def test_what_is_wrong_with_a_body_is_said_however_they_stand(
    body: bytes, people: People, config: int, presumed: list[str]
) -> None:
    expected = people.acme.post("entitlements", body).json()
    change_tenant(limits={"requests_per_minute": 70})(people.acme)
    answer = people.acme.post("entitlements", body).json()
    assert answer | {"request_id": ""} == expected | {"request_id": ""}
    assert len(presumed) == 2


@pytest.mark.parametrize("ended", [False, True])
def test_whoever_is_only_presumed_holds_none_of_their_tenants_places_for_bodies(
    ended: bool, people: People, config: int, presumed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the strangers' few are taken, the token is looked up before a byte is read."""
    assert people.acme.row is not None
    read, take = list[tuple[str, bool]](), body_slots._slot

    def watch(asker: str, *, stranger: bool) -> Any:
        read.append((asker, stranger))
        return take(asker, stranger=stranger)

    monkeypatch.setattr(body_slots, "_slot", watch)
    tenant = str(people.acme.row.tenant_id)
    assert create(people.acme, config).status_code == 201
    assert read == [(tenant, True)]
    read.clear()
    if ended:
        change(revoked_at=PAST)(people.acme)
    with contextlib.ExitStack() as slow:
        for _ in range(body_slots.PER_STRANGER):
            slow.enter_context(take(tenant, stranger=True))
        assert create(people.acme, config).status_code == (401 if ended else 201)
    assert read == [(tenant, True)] if ended else [(tenant, True), (tenant, False)]
    assert len(presumed) == 2


def test_no_presumption_outlives_its_request(people: People, config: int, presumed: list[str]) -> None:
    for body in ({"config": config}, {"config": "x"}):
        people.acme.post("entitlements", body)
        assert is_confirmed()
    assert len(presumed) == 2
