"""One Idempotency-Key, one creation: whoever repeats a request whose answer was lost gets what it made, without its secrets."""

import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from billing.models import Rate
from gateway.days import today
from gateway.models import ApiUser, AssignmentRule, Program
from gateway.tasks import forget_calls
from tenants import clock
from tenants.access import grant_right, withdraw_right
from tenants.context import acting_as
from tenants.directory import create_tenant
from tenants.idempotency import KEPT, Made, make_once, read_key, row_of
from tenants.models import AuditEntry, Tenant, Token, UsedKey
from tenants.token_secrets import peppers, possible_request_hashes
from tests.databases import OwnDatabase
from tests.gateway.ledger.scenes import give
from tests.isolation.scene import StaffClient
from tests.people import SETUP, ApiClient, People, make_client, make_people
from tests.tenants.test_races import together
from tests.worlds import API_URL, AUTH_URL, SandboxWorld, make_world

TOKENS = "tenants/acme/tokens"
BODY = {"name": "ci", "scopes": ["entitlements:read"]}
# Path, body, and the rows that a second creation would add to.
CREATIONS: dict[str, tuple[dict[str, Any], type[Any]]] = {
    TOKENS: (BODY, Token),
    "tenants": ({"slug": "vandelay", "name": "Vandelay", "currency": "EUR"}, Tenant),
    "api-users": (
        {"name": "second", "username": "user", "password": "password", "api_url": API_URL, "auth_url": AUTH_URL},
        ApiUser,
    ),
    "programs": ({"serial_number": "ELAVMS0000009999", "account_id": 424242, "api_user": "main"}, Program),
    "assignment-rules": ({"name": "new", "tenant": "acme", "description": "x*"}, AssignmentRule),
    "price-plans": (
        {"tenant": "acme", "currency": "EUR", "price_per_point": "0.07", "from_day": "2026-10-01"},
        Rate,
    ),
}
# Creations that say what shall be: said twice, it is so already. Operations keep their keys themselves (test_provisioning).
REPEATABLE = {
    "/api/v1/assignments/import": "a list that is sent twice changes nothing the second time, and its answer says so",
    "/api/v1/configs/{config_id}/offers": "an offer stands or does not",
    "/api/v1/programs/{serial}/accounts": "the account is read by this API user from now on, whoever did before",
    "/api/v1/statement-runs": "a month is issued once for each tenant; a second run names the numbers again",
}


def code_of(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def count(model: type[Any]) -> int:
    with acting_as(SETUP):
        return int(model.objects.count())


def post(client: ApiClient, path: str = TOKENS, body: Any = BODY, *, key: str = "one") -> Any:
    return client.post(path, body, Idempotency_Key=key)


def is_replay(response: Any) -> bool:
    return bool(response.headers.get("Idempotent-Replayed") == "true")


def test_every_post_that_creates_takes_a_key_or_is_repeatable_by_nature() -> None:
    paths = Client().get("/api/v1/schema", headers={"Host": "localhost"}).json()["paths"]
    without = set()
    for path, methods in paths.items():
        creation = methods.get("post", {})
        takes = any(parameter["name"] == "Idempotency-Key" for parameter in creation.get("parameters", ()))
        if "201" in creation.get("responses", ()) and not takes:
            without.add(path)
        if takes:
            assert "422" in creation["responses"], path
            assert creation["responses"]["201" if "201" in creation["responses"] else "200"]["headers"].keys() == {
                "Idempotent-Replayed"
            }
    assert without == REPEATABLE.keys()


@pytest.mark.parametrize("path", CREATIONS)
def test_the_same_request_again_leads_to_what_it_made(people: People, world: SandboxWorld, path: str) -> None:
    body, model = CREATIONS[path]
    first = post(people.operator, path, body)
    assert (first.status_code, is_replay(first)) == (201, False), first.content
    rows, noted = count(model), count(AuditEntry)
    again = post(people.operator, path, body)
    assert (again.status_code, is_replay(again)) == (201, True)
    assert again.json() == first.json() | {name: None for name in ("secret", "token") if name in first.json()}
    assert again.headers.get("Location") == first.headers.get("Location")
    assert (count(model), count(AuditEntry)) == (rows, noted)


@pytest.mark.parametrize("path", CREATIONS)
def test_a_key_that_comes_with_another_body_is_a_mismatch(people: People, world: SandboxWorld, path: str) -> None:
    body, model = CREATIONS[path]
    assert post(people.operator, path, body).status_code == 201
    rows = count(model)
    field = next(name for name in ("slug", "name", "serial_number", "price_per_point") if name in body)
    other = post(people.operator, path, body | {field: "0.08" if field == "price_per_point" else "another"})
    assert code_of(other) == (422, "idempotency_mismatch")
    assert count(model) == rows


def test_a_key_that_comes_to_another_path_is_a_mismatch(people: People) -> None:
    assert post(people.operator).status_code == 201
    assert code_of(post(people.operator, "tenants/globex/tokens")) == (422, "idempotency_mismatch")


@pytest.mark.parametrize("path", CREATIONS)
def test_a_refusal_leaves_the_key_free(people: People, world: SandboxWorld, path: str) -> None:
    body, model = CREATIONS[path]
    wrong: dict[str, Any] = {
        TOKENS: {"expires_at": (clock.now() - timedelta(days=1)).isoformat()},
        "tenants": {"slug": "acme"},
        "api-users": {"password": "wrong"},
        "programs": {"api_user": "nobody"},
        "assignment-rules": {"tenant": "nobody"},
        "price-plans": {"currency": "USD"},
    }[path]
    rows = count(model)
    assert post(people.operator, path, body | wrong).status_code in {400, 409}
    assert (count(model), count(UsedKey)) == (rows, 0)
    right = post(people.operator, path, body)
    assert (right.status_code, is_replay(right)) == (201, False)


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_1_to_255_characters(people: People, key: str) -> None:
    answer = post(people.acme, key=key)
    assert code_of(answer) == (400, "invalid")
    assert answer.json()["errors"][0]["pointer"] == "Idempotency-Key"
    assert post(people.acme, key="x" * 255).status_code == 201


def test_a_replay_shows_no_secret_and_none_is_kept(people: People) -> None:
    made = post(people.acme).json()
    again = post(people.acme)
    assert made["secret"] in made["token"]
    assert made["secret"] not in again.content.decode()
    assert (again.json()["secret"], again.json()["token"]) == (None, None)
    assert ApiClient(made["token"]).get("whoami").json()["tenant"] == "acme"


def test_what_is_kept_of_a_request_is_keyed(people: People, world: SandboxWorld) -> None:
    """The body of an API user holds its password: a plain hash of it could be tried out."""
    body = CREATIONS["api-users"][0]
    assert post(people.operator, "api-users", body).status_code == 201
    key = read_key(people.operator.actor, "one", path="/api/v1/api-users", body=body)
    assert key is not None
    with acting_as(SETUP):
        kept = bytes(UsedKey.objects.get().fingerprint)
    assert kept != bytes.fromhex(key.fingerprint)
    assert [kept] == possible_request_hashes(key.fingerprint)


def test_an_older_pepper_still_finds_its_keys(people: People, settings: Any) -> None:
    made = post(people.acme).json()
    settings.FLEXGATE_TOKEN_PEPPERS = "2:" + "A" * 43 + "=," + settings.FLEXGATE_TOKEN_PEPPERS
    peppers.cache_clear()
    try:
        assert post(people.acme).json()["id"] == made["id"]
    finally:
        peppers.cache_clear()


def test_it_is_rendered_anew(people: People) -> None:
    made = post(people.acme).json()
    assert people.acme.delete(f"{TOKENS}/{made['id']}").status_code == 204
    again = post(people.acme).json()
    assert (again["id"], made["revoked_at"]) == (made["id"], None)
    assert again["revoked_at"] is not None


def test_what_is_gone_is_not_made_again(people: People) -> None:
    path, body = "assignment-rules", CREATIONS["assignment-rules"][0]
    made = post(people.operator, path, body).json()
    assert people.operator.delete(f"{path}/{made['id']}").status_code == 204
    assert code_of(post(people.operator, path, body)) == (422, "idempotency_mismatch")
    assert count(AssignmentRule) == 0


def test_another_tenants_key_of_the_same_name_is_another(people: People) -> None:
    mine = post(people.acme)
    theirs = post(people.globex, "tenants/globex/tokens")
    assert (mine.status_code, theirs.status_code, is_replay(theirs)) == (201, 201, False)
    assert theirs.json()["tenant"] == "globex"
    assert code_of(post(people.globex)) == (404, "not_found")
    with acting_as(people.globex.actor):
        assert list(UsedKey.objects.values_list("tenant__slug", "subject_key")) == [("globex", theirs.json()["id"])]


def test_the_operators_key_is_not_the_tenants_and_not_a_persons(people: People) -> None:
    with acting_as(SETUP):
        users = [User.objects.create(username=name, is_staff=True) for name in ("anna", "ben")]
    for user in users:
        grant_right(SETUP, user, People.tenant("acme"), "administer")
    everybody = [people.operator, people.acme, *(StaffClient(user) for user in users)]
    answers = [post(one) for one in everybody]
    assert [(one.status_code, is_replay(one)) for one in answers] == [(201, False)] * 4
    assert len({one.json()["id"] for one in answers}) == 4
    again = [post(one) for one in everybody]
    assert [(one.json()["id"], is_replay(one)) for one in again] == [(one.json()["id"], True) for one in answers]


def test_a_person_without_the_right_any_more_is_told_nothing(people: People) -> None:
    with acting_as(SETUP):
        anna = User.objects.create(username="anna", is_staff=True)
    grant_right(SETUP, anna, People.tenant("acme"), "administer")
    grant_right(SETUP, anna, People.tenant("globex"), "administer")
    client = StaffClient(anna)
    assert post(client).status_code == 201
    withdraw_right(SETUP, anna, People.tenant("acme"), "administer")
    assert code_of(post(client)) == (404, "not_found")


def test_an_old_key_is_a_new_one(people: People) -> None:
    made = post(people.acme).json()
    with time_machine.travel(clock.now() + KEPT - timedelta(minutes=1)):
        assert post(people.acme).json()["id"] == made["id"]
    with time_machine.travel(clock.now() + KEPT + timedelta(minutes=1)):
        other = post(people.acme, body=BODY | {"name": "another"})
        assert (other.status_code, is_replay(other)) == (201, False)
        assert other.json()["id"] != made["id"]
        assert count(UsedKey) == 1


def test_old_keys_are_forgotten_by_the_daily_round(people: People) -> None:
    post(people.acme)
    with time_machine.travel(clock.now() + timedelta(days=29)):
        young = post(people.globex, "tenants/globex/tokens").json()
    with time_machine.travel(clock.now() + KEPT + timedelta(minutes=1)):
        forget_calls()
    with acting_as(SETUP):
        assert list(UsedKey.objects.values_list("subject_key", flat=True)) == [young["id"]]


@pytest.fixture
def narrowed(people: People, world: SandboxWorld) -> ApiClient:
    serial = world.sandbox.create_vm(world.config_id, skipPending=True)[0]
    world.sync()
    give([serial], "acme", today())
    return make_client(slug="acme", entitlements=[serial])


def test_a_narrowed_token_repeats_its_own_requests(people: People, narrowed: ApiClient) -> None:
    made = post(narrowed).json()
    again = post(narrowed)
    assert (again.status_code, is_replay(again), again.json()["id"]) == (201, True, made["id"])
    assert again.json()["entitlements"] == made["entitlements"]
    assert len(made["entitlements"]) == 1


@pytest.mark.parametrize("body", [BODY, BODY | {"name": "another"}], ids=["its body", "another body"])
def test_a_key_of_what_a_narrowed_token_does_not_see_tells_it_nothing(
    people: People, narrowed: ApiClient, body: dict[str, Any]
) -> None:
    made, tokens = post(people.acme).json(), count(Token)
    answer = post(narrowed, body=body)
    assert code_of(answer) == (422, "idempotency_mismatch")
    assert made["id"] not in answer.content.decode()
    assert count(Token) == tokens, "what it had begun to make is undone"
    with acting_as(narrowed.actor):
        assert UsedKey.objects.count() == 0


def test_a_rotation_whose_answer_was_lost_makes_no_second_token(people: People) -> None:
    path = f"{TOKENS}/{people.acme.row.id}/rotate"  # type: ignore[union-attr]
    made = post(people.acme, path, {"overlap_seconds": 60})
    tokens = count(Token)
    again = post(people.acme, path, {"overlap_seconds": 60})
    assert again.json() == made.json() | {"secret": None, "token": None}
    assert (is_replay(again), count(Token)) == (True, tokens)


def test_a_narrowed_token_rotates_itself_once_for_a_key(people: People, narrowed: ApiClient) -> None:
    """The new token is its sibling, which it does not see: the repetition is refused, and makes none."""
    path = f"{TOKENS}/{narrowed.row.id}/rotate"  # type: ignore[union-attr]
    assert post(narrowed, path, {"overlap_seconds": 60}).status_code == 201
    tokens = count(Token)
    assert code_of(post(narrowed, path, {"overlap_seconds": 60})) == (422, "idempotency_mismatch")
    assert count(Token) == tokens


def test_a_late_repetition_takes_no_serial_back(people: People, world: SandboxWorld) -> None:
    serials = world.sandbox.create_vm(world.config_id, count=2, skipPending=True)
    world.sync()
    body = {"serials": serials, "tenant": "acme", "from_day": today().isoformat()}
    made = post(people.operator, "assignments", body)
    assert post(people.operator, "assignments", body).json() == made.json()
    give(serials[:1], "globex", today())
    again = post(people.operator, "assignments", body)
    assert (again.status_code, is_replay(again)) == (201, True)
    assert [row["serial_number"] for row in again.json()["assignments"]] == serials[1:]
    assert people.globex.get(f"entitlements/{serials[0]}").json()["tenant"] == "globex"


@pytest.mark.parametrize("path", CREATIONS)
def test_of_two_at_once_one_creates_and_the_other_replays(own_database: OwnDatabase, path: str) -> None:
    people = make_people()
    make_world()
    body, model = CREATIONS[path]
    rows = count(model)
    answers = together(*[lambda: post(people.operator, path, body)] * 2)
    assert [answer.status_code for answer in answers] == [201, 201]
    assert sorted(is_replay(answer) for answer in answers) == [False, True]
    assert answers[0].json() | {"secret": None, "token": None} == answers[1].json() | {"secret": None, "token": None}
    assert (count(model), count(UsedKey)) == (rows + 1, 1)


@pytest.mark.parametrize("ends", ["done", "undone"])
def test_a_twin_waits_for_what_comes_of_the_first(own_database: OwnDatabase, ends: str) -> None:
    """The slug is taken by a creation that is not committed yet: that is no refusal of the second, whichever way it ends."""
    operator, made, go = make_people().operator.actor, threading.Event(), threading.Event()
    body = CREATIONS["tenants"][0]
    key = read_key(operator, "one", path="/api/v1/tenants", body=body)

    def create() -> Made[Tenant]:
        return make_once(
            operator, key, lambda: create_tenant(operator, **body), subject=row_of(Tenant.objects.visible_to(operator))
        )

    def create_slowly() -> bool:
        with acting_as(operator):
            assert not create().replayed
            made.set()
            go.wait(10)
            transaction.set_rollback(ends == "undone")
        return True

    def repeat() -> Made[Tenant]:
        made.wait(10)
        threading.Timer(0.5, go.set).start()
        return create()

    _, answer = together(create_slowly, repeat)
    assert (answer.thing.slug, answer.replayed) == ("vandelay", ends == "done")
    with acting_as(SETUP):
        assert list(Tenant.objects.filter(slug="vandelay").values_list("id", flat=True)) == [answer.thing.id]


def test_two_keys_for_one_name_make_it_once(own_database: OwnDatabase) -> None:
    people = make_people()
    make_world()
    body = CREATIONS["api-users"][0]
    answers = together(*[lambda key=key: post(people.operator, "api-users", body, key=key) for key in ("one", "two")])
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert count(UsedKey) == 1
