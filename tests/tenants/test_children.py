"""Tokens that make tokens: never more than themselves, dead with them; and tokens narrowed to what they name."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway.days import today
from tenants import clock
from tenants.context import acting_as
from tenants.models import AuditEntry, Token
from tenants.token_secrets import peppers
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, ApiClient, People, make_client
from tests.worlds import ENT_2, PROGRAM, SandboxWorld

PATH = "tenants/acme/tokens"


def make(parent: ApiClient, **wish: Any) -> ApiClient:
    answer = parent.post(PATH, {"name": "child", **wish})
    assert answer.status_code == 201, answer.content
    made = answer.json()
    child = ApiClient(made["token"])
    child.row = Token(id=made["id"])
    return child


def path_of(client: ApiClient) -> str:
    assert client.row is not None
    return f"{PATH}/{client.row.id}"


def lives(client: ApiClient) -> bool:
    return bool(client.get("whoami").status_code == 200)


@pytest.mark.parametrize("end", ["revoked", "expired", "rotated"])
def test_children_die_with_any_ancestor(people: People, end: str) -> None:
    parent = make_client(slug="acme", scopes=["tokens:write", "entitlements:read"])
    child = make(parent)
    grandchild = make(child)
    assert [lives(one) for one in (parent, child, grandchild)] == [True] * 3
    if end == "revoked":
        assert people.operator.delete(path_of(parent)).status_code == 204
    elif end == "rotated":
        assert parent.post(f"{path_of(parent)}/rotate", {}).status_code == 201
    else:
        with acting_as(SETUP):
            Token.objects.filter(id=parent.row.id).update(expires_at=clock.now() - timedelta(seconds=1))  # type: ignore[union-attr]
    assert [lives(one) for one in (parent, child, grandchild)] == [False] * 3
    assert lives(people.acme)


def test_a_child_has_no_more_time_networks_or_scopes(people: People) -> None:
    soon = clock.now() + timedelta(hours=1)
    parent = make_client(
        slug="acme",
        scopes=["tokens:write", "entitlements:read"],
        expires_at=soon,
        allowed_ips=["127.0.0.0/8", "2001:db8::/32"],
    )
    for field, wish in {
        "/scopes": {"scopes": ["entitlements:write"]},
        "/expires_at": {"expires_at": (soon + timedelta(seconds=1)).isoformat()},
        "/allowed_ips": {"allowed_ips": ["0.0.0.0/0"]},
    }.items():
        refused = parent.post(PATH, {"name": "more", **wish})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, field)
    shown = parent.post(PATH, {"name": "as much"}).json()
    assert shown["scopes"] == ["entitlements:read", "tokens:write"]
    assert shown["allowed_ips"] == ["127.0.0.0/8", "2001:db8::/32"]
    assert datetime.fromisoformat(shown["expires_at"]) == soon
    assert parent.post(PATH, {"name": "less", "allowed_ips": ["127.0.0.1/32"]}).status_code == 201


def test_families_are_at_most_five_deep(people: People) -> None:
    client = people.acme
    for _ in range(4):
        client = make(client)
    refused = client.post(PATH, {"name": "sixth"})
    assert (refused.status_code, refused.json()["code"]) == (409, "state_conflict")


def test_a_child_handles_itself_and_what_it_made_alone(people: People) -> None:
    child = make(people.acme, scopes=["tokens:write", "entitlements:read"])
    own = make(child, scopes=["entitlements:read"])
    sibling = make(people.acme, scopes=["entitlements:read"])
    for target in (people.acme, sibling):
        for answer in (child.delete(path_of(target)), child.post(f"{path_of(target)}/rotate", {})):
            assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert child.delete(path_of(own)).status_code == 204
    assert [lives(one) for one in (people.acme, child, own, sibling)] == [True, True, False, True]


def test_a_token_can_not_copy_another_by_rotating_it(people: People) -> None:
    """The copy would outlive the one that asked."""
    refused = people.acme.post(f"{path_of(people.acme_restricted)}/rotate", {})
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")


def test_a_rotated_child_still_dies_with_its_parent_and_shares_its_rate(people: People) -> None:
    child = make(people.acme)
    rotated = child.post(f"{path_of(child)}/rotate", {"overlap_seconds": 60}).json()
    assert rotated["parent_id"] == str(people.acme.row.id)  # type: ignore[union-attr]
    with acting_as(SETUP):
        families = set(
            Token.objects.filter(id__in=[rotated["id"], people.acme.row.id]).values_list("family", flat=True)
        )  # type: ignore[union-attr]
    assert families == {people.acme.row.id}  # type: ignore[union-attr]
    people.operator.delete(path_of(people.acme))
    assert not lives(ApiClient(rotated["token"]))


def test_an_operators_limits_bound_what_it_makes_and_what_it_made_stays(people: People) -> None:
    soon = clock.now() + timedelta(hours=1)
    operator = make_client(
        slug=None, scopes=["tokens:write", "entitlements:read"], expires_at=soon, allowed_ips=["127.0.0.1/32"]
    )
    refused = operator.post(PATH, {"name": "x", "scopes": ["entitlements:write"]})
    assert refused.json()["errors"][0]["pointer"] == "/scopes"
    refused = operator.post(PATH, {"name": "x", "expires_at": (soon + timedelta(days=1)).isoformat()})
    assert refused.json()["errors"][0]["pointer"] == "/expires_at"
    made = operator.post(PATH, {"name": "x"}).json()
    assert (made["scopes"], made["allowed_ips"]) == (["entitlements:read", "tokens:write"], ["127.0.0.1/32"])
    assert made["parent_id"] is None
    with acting_as(SETUP):
        Token.objects.filter(id=operator.row.id).update(revoked_at=clock.now())  # type: ignore[union-attr]
    assert not lives(operator)
    assert lives(ApiClient(made["token"]))


def test_all_tokens_of_a_tenant_end_at_once(people: People) -> None:
    child = make(people.acme)
    assert people.operator.delete(PATH).json() == {"revoked": 3, "kept": 0}
    assert [lives(one) for one in (people.acme, people.acme_restricted, child, people.globex)] == [
        False,
        False,
        False,
        True,
    ]


def test_an_old_peppers_hash_is_renewed_when_its_token_is_used(people: People, settings: Any) -> None:
    old = settings.FLEXGATE_TOKEN_PEPPERS
    settings.FLEXGATE_TOKEN_PEPPERS = "2:" + "A" * 43 + "=," + old
    peppers.cache_clear()
    try:
        assert lives(people.acme)
        with acting_as(SETUP):
            assert Token.objects.get(id=people.acme.row.id).pepper == "2"  # type: ignore[union-attr]
            assert Token.objects.get(id=people.globex.row.id).pepper == "1"  # type: ignore[union-attr]
        settings.FLEXGATE_TOKEN_PEPPERS = "2:" + "A" * 43 + "="
        peppers.cache_clear()
        assert [lives(people.acme), lives(people.globex)] == [True, False]
    finally:
        settings.FLEXGATE_TOKEN_PEPPERS = old
        peppers.cache_clear()


def test_a_near_miss_is_on_record_once_a_minute(people: People) -> None:
    people.operator.delete(path_of(people.acme_restricted))
    for _ in range(3):
        assert not lives(people.acme_restricted)
    with acting_as(SETUP):
        refused = list(
            AuditEntry.objects.filter(action="token.refused").values_list("tenant__slug", "after", "address")
        )
    assert refused == [("acme", {"reason": "revoked"}, "127.0.0.1")]


@pytest.fixture
def two(people: People, world: SandboxWorld) -> tuple[str, str, int]:
    """Two serials of acme's: the first under its own config, the second under the catalogue's."""
    second = world.sandbox.create_vm(world.config_id, skipPending=True)[0]
    world.sync()
    give([second], "acme", today())
    parameters = [{"id": key, "value": value} for key, value in ENT_2]
    body = {"program": PROGRAM, "name": "own", "product_type_id": 1, "parameters": parameters}
    config = people.acme.post("configs", body).json()["config"]["id"]
    first = people.acme.post("entitlements", {"config": config, "skip_pending": True}).json()["entitlements"][0]
    return first["serial_number"], second, config


def serials_of(client: ApiClient) -> list[str]:
    return [row["serial_number"] for row in client.get("entitlements").json()["results"]]


def test_a_stitchs_token_stops_and_reactivates_two_serials_and_nothing_else(
    people: People, world: SandboxWorld, two: tuple[str, str, int]
) -> None:
    first, second, _ = two
    stitch = make(people.acme, scopes=["entitlements:switch"], entitlements=[second])
    assert stitch.post(f"entitlements/{second}/stop").json()["status"] == "STOPPED"
    assert stitch.post(f"entitlements/{second}/reactivate").json()["status"] == "ACTIVE"
    assert stitch.post(f"entitlements/{first}/stop").status_code == 404
    assert stitch.get(f"entitlements/{second}").json()["code"] == "insufficient_scope"
    assert stitch.get("whoami").json()["entitlements"] == [second]


def test_a_token_narrowed_to_a_config_reaches_what_stands_under_it(people: People, two: tuple[str, str, int]) -> None:
    first, second, config = two
    narrow = make(people.acme, configs=[config])
    assert serials_of(narrow) == [first]
    assert [row["id"] for row in narrow.get("configs").json()["results"]] == [config]
    made = narrow.post("entitlements", {"config": config}).json()["entitlements"][0]["serial_number"]
    assert serials_of(narrow) == sorted([first, made])
    assert narrow.get(f"entitlements/{second}").status_code == 404
    assert {row["config"] for row in narrow.get("operations").json()["results"]} == {config}


def test_narrowing_hands_down_and_never_widens(people: People, two: tuple[str, str, int]) -> None:
    first, second, config = two
    narrow = make(people.acme, entitlements=[first, second])
    assert serials_of(make(narrow)) == sorted([first, second])
    assert serials_of(make(narrow, entitlements=[second])) == [second]
    for wish, pointer in (
        ({"configs": [config]}, "/configs/0"),
        ({"entitlements": [second, "FGVMXXXX00000000"]}, "/entitlements/1"),
    ):
        refused = narrow.post(PATH, {"name": "more", **wish})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, pointer)


def test_a_foreign_serial_can_not_be_named_and_answers_like_an_unknown_one(
    people: People, two: tuple[str, str, int]
) -> None:
    told = [
        people.globex.post("tenants/globex/tokens", {"name": "x", "entitlements": [serial]}).json()
        for serial in (two[0], "FGVMXXXX00000000")
    ]
    assert told[0]["detail"].replace(two[0], "") == told[1]["detail"].replace("FGVMXXXX00000000", "")
    assert [one["errors"][0]["pointer"] for one in told] == ["/entitlements/0"] * 2


def test_a_serial_that_was_handed_over_is_out_of_every_tokens_reach(people: People, two: tuple[str, str, int]) -> None:
    narrow = make(people.acme, entitlements=[two[1]])
    give([two[1]], "globex", today())
    assert serials_of(narrow) == []
    assert narrow.get(f"entitlements/{two[1]}").status_code == 404


def test_a_narrowed_token_rotates_itself_and_stays_narrowed(people: People, two: tuple[str, str, int]) -> None:
    for wish in ({"entitlements": [two[1]]}, {"configs": [two[2]]}):
        narrow = make(people.acme, **wish)
        before = narrow.get("whoami").json()
        rotated = narrow.post(f"{path_of(narrow)}/rotate", {}).json()
        after = ApiClient(rotated["token"]).get("whoami").json()
        assert (after["entitlements"], after["configs"]) == (before["entitlements"], before["configs"])
        assert (rotated["entitlements"], rotated["configs"]) == (before["entitlements"], before["configs"])
        assert not lives(narrow)


def test_resizing_into_another_config_is_beyond_a_narrowed_token(people: People, two: tuple[str, str, int]) -> None:
    body = {"parameters": [{"id": 1, "value": "4"}]}
    for narrow in (make(people.acme, entitlements=[two[1]]), make(people.acme, entitlements=[two[0]])):
        serial = narrow.get("whoami").json()["entitlements"][0]
        refused = narrow.patch(f"entitlements/{serial}", body)
        assert (refused.status_code, refused.json()["code"]) == (403, "token_narrowed")
    assert make(people.acme, configs=[two[2]]).patch(f"entitlements/{two[0]}", body).status_code == 200


def test_another_tokens_idempotency_key_is_a_mismatch_and_no_accident(
    people: People, two: tuple[str, str, int]
) -> None:
    _, second, config = two
    narrow = make(people.acme, configs=[config])
    people.operator.post(
        f"configs/{people.acme.get(f'entitlements/{second}').json()['config']}/offers", {"tenant": "acme"}
    )
    other = people.acme.get(f"entitlements/{second}").json()["config"]
    assert people.acme.post("entitlements", {"config": other}, Idempotency_Key="k").status_code == 201
    answer = narrow.post("entitlements", {"config": config}, Idempotency_Key="k")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
