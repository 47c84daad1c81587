"""The list's one statement: its filters, its wall against the ORM's, its times, and its pages in both directions."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway.days import today
from gateway.entitlement_list import find_entitlements
from gateway.models import Entitlement, ProgramAccount
from tenants import clock
from tenants.actors import Actor, ActorKind
from tenants.context import acting_as
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, People, make_client
from tests.worlds import ENT_4, SandboxWorld

TEXTS = ("100% sure", "100 sure", "under_score", "underXscore", 'say "hi" \\ there', "Straße", "")
LABELS: tuple[dict[str, str], ...] = ({"site": "Köln"}, {"site": "Bonn"}, {"cost": "7"}, {"si'te": 'x"y'}, {}, {}, {})


@pytest.fixture
def serials(people: People, world: SandboxWorld) -> list[str]:
    """Seven of acme's, each with its text and labels, the last under another config; one of nobody's."""
    found = world.sandbox.create_vm(world.config_id, count=6, skipPending=True)
    found += world.sandbox.create_vm(world.add_config("big", ENT_4))
    world.sandbox.create_vm(world.config_id)
    world.sync()
    give(found, "acme", today() - timedelta(days=3))
    with acting_as(SETUP):
        for serial, text, labels in zip(found, TEXTS, LABELS, strict=True):
            Entitlement.objects.filter(pk=serial).update(description=text, labels=labels)
    return found


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6]),
        ({"search": "100%"}, [0]),
        ({"search": "UNDER_SCORE"}, [2]),
        ({"search": "\\ there"}, [4]),
        ({"search": 'say "hi"'}, [4]),
        ({"search": "straße"}, [5]),
        ({"search": "köln"}, [0]),
        ({"search": "' OR true --"}, []),
        ({"label": "site"}, [0, 1]),
        ({"label": "site=Bonn"}, [1]),
        ({"label": "site="}, []),
        ({"label": "si'te=x\"y"}, [3]),
        ({"label": "si'te"}, [3]),
        ({"status": "pending"}, [6]),
        ({"status": "active", "label": "cost"}, [2]),
        ({"config": "1"}, []),
        ({"product": "FortiGate Virtual Machine - Service Bundle"}, [0, 1, 2, 3, 4, 5, 6]),
        ({"product": "no such"}, []),
        ({"tenant": "acme"}, [0, 1, 2, 3, 4, 5, 6]),
        ({"tenant": "globex"}, []),
        ({"tenant": "unassigned"}, []),
    ],
    ids=str,
)
def test_each_filter_leaves_what_it_names(
    people: People, serials: list[str], query: dict[str, str], places: list[int]
) -> None:
    found = people.acme.get(f"entitlements?{urlencode(query)}").json()["results"]
    assert [row["serial_number"] for row in found] == [serials[place] for place in places]
    assert people.globex.get(f"entitlements?{urlencode(query)}").json()["results"] == []


def test_a_serial_and_its_config_are_found(people: People, serials: list[str]) -> None:
    row = people.acme.get(f"entitlements?search={serials[6][-6:].lower()}").json()["results"][0]
    assert row["serial_number"] == serials[6]
    found = people.acme.get(f"entitlements?config={row['config']}").json()["results"]
    assert [one["serial_number"] for one in found] == [serials[6]]


def test_the_wall_is_the_one_that_the_orm_has(people: People, serials: list[str]) -> None:
    with acting_as(SETUP):
        config = Entitlement.objects.get(pk=serials[6]).config_id
    whole = {"operator": people.operator, "acme": people.acme, "globex": people.globex}
    narrowed = make_client(slug="acme", entitlements=[serials[0]], configs=[config])
    counts = {}
    for name, client in (whole | {"narrowed": narrowed}).items():
        actor = client.actor
        with acting_as(actor):
            wall = set(Entitlement.objects.visible_to(actor).values_list("serial_number", flat=True))
        assert {row["serial_number"] for row in find_entitlements(actor, {}, count=500)} == wall
        counts[name] = len(wall)
    assert counts == {"operator": 8, "acme": 7, "globex": 0, "narrowed": 2}


def test_who_may_not_write_reads_no_licence_token(people: People, serials: list[str]) -> None:
    shown = people.acme.get(f"entitlements/{serials[6]}").json()
    hidden = people.acme_restricted.get(f"entitlements/{serials[6]}").json()
    assert shown["token"]
    assert hidden == shown | {"token": None}


def test_a_row_was_seen_when_its_account_was_or_when_it_was_missed(people: People, serials: list[str]) -> None:
    def seen(place: int) -> Any:
        return people.acme.get(f"entitlements/{serials[place]}").json()["seen_at"]

    now = clock.now().replace(microsecond=120_000)
    with acting_as(SETUP):
        ProgramAccount.objects.update(mirrored_at=now)
        Entitlement.objects.update(first_seen_at=now - timedelta(days=1))
        Entitlement.objects.filter(pk=serials[1]).update(first_seen_at=now + timedelta(seconds=1))
        Entitlement.objects.filter(pk=serials[2]).update(missed_at=now - timedelta(hours=1))
        Entitlement.objects.filter(pk=serials[3]).update(vanished_at=now - timedelta(hours=2))
    assert [seen(place) for place in range(4)] == [
        f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
        for moment in (now, now + timedelta(seconds=1), now - timedelta(hours=1), now - timedelta(hours=2))
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_go_there_and_back_with_a_filter(people: People, serials: list[str], limit: int) -> None:
    there, path = [], f"entitlements?status=active&limit={limit}"
    page = people.acme.get(path).json()
    pages = [page]
    while page["next"]:
        page = people.acme.get(page["next"]).json()
        pages.append(page)
    there = [row["serial_number"] for one in pages for row in one["results"]]
    assert there == serials[:6]
    back = [page["results"]]
    while page["previous"]:
        page = people.acme.get(page["previous"]).json()
        back.insert(0, page["results"])
    assert back == [one["results"] for one in pages]


def test_a_search_does_not_reach_from_one_text_into_the_next(people: People, serials: list[str]) -> None:
    both = f"{serials[0][-4:]}100"
    assert people.acme.get(f"entitlements?{urlencode({'search': both})}").json()["results"] == []


def test_a_person_of_two_tenants_reads_both_and_the_tokens_of_one(people: People, serials: list[str]) -> None:
    acme, globex = People.tenant("acme").id, People.tenant("globex").id
    give([serials[1]], "globex", today() - timedelta(days=3))
    with acting_as(SETUP):
        Entitlement.objects.update(token="ABC", labels={"site": "Bonn"}, description="same")
    person = Actor(
        kind=ActorKind.STAFF,
        name="user 1",
        tenant_ids=(acme, globex),
        scopes_by_tenant={acme: frozenset({"entitlements:write"}), globex: frozenset({"entitlements:read"})},
    )
    filters = {"status": "active", "label": "site=Bonn", "search": "SAM"}
    for upward in (True, False):
        found = find_entitlements(person, filters, beyond=serials[0 if upward else 3], upward=upward, count=2)
        places = [1, 2] if upward else [2, 1]
        assert [(row["serial_number"], row["token"]) for row in found] == [
            (serials[place], None if place == 1 else "ABC") for place in places
        ]
