"""All that acme can read is collected from the description's own paths, and given back by globex wherever a value can be put.

Globex must get what it gets for a value that never was: the same status, the same words, nothing of acme's.
"""

import itertools
import json
import re
import statistics
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.isolation.rules import RULES
from tests.isolation.scene import Scene, text_of
from tests.isolation.test_matrix import fill

UUID_FORM = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
A_DATE = re.compile(r"\d{4}-\d\d(-\d\d)?")
NOT_ITS_OWN = frozenset({"next", "previous", "at", "created_at", "seen_at", "issued_at", "hash", "previous_hash"})
SHARED = frozenset({"ELAVMS0000000001", "100001", "acme-key-1"})  # a program and account that both may use


def describe() -> dict[str, Any]:
    return dict(Client().get("/api/v1/schema", headers={"Host": "localhost"}).json())


def scalars(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from scalars(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from scalars(inner, name)
    elif isinstance(value, (str, int)) and not isinstance(value, bool):
        yield name, value


@pytest.fixture(scope="module")
def harvest(scene: Scene) -> dict[str, list[Any]]:
    """What acme reads and globex does not, by kind; the cursors apart."""
    read: dict[str, set[tuple[str, Any]]] = {"owner": set(), "other": set()}
    cursors = set()
    for line in RULES:
        if line.method != "GET" or line.answers[-1] != "200" or "csv" in line.path or "export" in line.path:
            continue
        path = fill(line.path, scene.ids)
        for who in read:
            answer = scene.ask(
                who, "GET", path + ("&" if "?" in path else "?") + "limit=1" if _is_paged(line.route) else path
            )
            if answer.status_code == 200:
                body = answer.json()
                read[who] |= set(scalars(body))
                if who == "owner" and isinstance(body, dict) and body.get("next"):
                    cursors.add(body["next"])
    mine = {(name, value) for name, value in read["owner"] - read["other"] if name not in NOT_ITS_OWN}
    everyone = {value for _, value in read["other"]}
    values = {
        value
        for _, value in mine
        if value not in everyone
        and str(value) not in SHARED
        and len(str(value)) > 3
        and not A_DATE.fullmatch(str(value))
    }
    values |= {
        scene.ids["config"],
        str(scene.ids["operation"]),
        scene.ids["serial"],
        scene.ids["number"],
        str(scene.ids["line"]),
        "acme",
    }
    kinds: dict[str, list[Any]] = {"uuid": [], "number": [], "text": [], "cursor": sorted(cursors)}
    for value in sorted(values, key=str):
        kind = "number" if isinstance(value, int) else "uuid" if UUID_FORM.fullmatch(value) else "text"
        kinds[kind].append(value)
    assert len(kinds["uuid"]) >= 8
    assert len(kinds["text"]) >= 15
    assert len(kinds["number"]) >= 1
    assert len(kinds["cursor"]) >= 4
    return kinds


def _is_paged(route: str) -> bool:
    return route in {
        "entitlements",
        "configs",
        "operations",
        "audit",
        "tenants",
        "statements",
        "tenants/<slug:slug>/tokens",
    }


def never_was(value: Any) -> Any:
    """A value of the same form that nobody ever had."""
    if isinstance(value, int):
        return value + 7_777
    if UUID_FORM.fullmatch(value):
        return str(UUID(int=UUID(value).int ^ (0xABCDEF << 8)))
    return "".join(chr(ord(c) + 1) if c in "acmeACME1234" else c for c in value[:-1]) + (
        "b" if value[-1:].islower() else "7"
    )


def plain(answer: Any, value: Any) -> tuple[int, str]:
    """Status and text, without the value itself and what is new in every answer."""
    text = text_of(answer)
    for shown in {str(value), quote(str(value)), json.dumps(str(value))[1:-1]} - {""}:
        text = text.replace(shown, "…")
    text = re.sub(r'"(request_id|secret|token)":"[^"]*"', "", text)
    return answer.status_code, re.sub(r"[0-9a-f]{32}|[0-9a-f-]{36}|\d{4}-\d\d-\d\dT[\d:.]+Z", "", text)


def compare(scene: Scene, told: list[str], method: str, value: Any, make: Any) -> None:
    other = never_was(value)
    mine = [scene.ask("other", method, *make(one)) for one in (value, other)]
    foreign, unknown = plain(mine[0], value), plain(mine[1], other)
    if foreign != unknown:
        told.append(f"{method} {make(value)}: {foreign} is not {unknown}")
    leaked = [mark for mark in scene.marks if mark in text_of(mine[0]).replace(str(value), "")]
    if leaked:
        told.append(f"{method} {make(value)} tells {leaked}")


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in describe()["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def own_path(scene: Scene, path: str) -> str:
    """The path with globex's own names, where they are about a tenant."""
    ids = {"slug": "globex", "serial": "FGVMNOTHING00000", "config_id": 1, "name": "main", "number": "GLOBEX-2026-0001"}
    zero = str(UUID(int=0))
    return re.sub(r"\{(\w+)\}", lambda found: str(ids.get(found[1], zero)), path)


def test_in_paths(scene: Scene, harvest: dict[str, list[Any]]) -> None:
    told: list[str] = []
    asked = 0
    for path, method, operation in operations():
        for parameter in (one for one in operation.get("parameters", ()) if one["in"] == "path"):
            form = parameter["schema"]
            kind = "uuid" if form.get("format") == "uuid" else "number" if form["type"] == "integer" else "text"
            values = harvest[kind] if kind != "text" else [*harvest["text"], *harvest["uuid"][:2]]
            for value in values[:14]:
                body = {} if method in {"POST", "PATCH"} else None
                compare(
                    scene,
                    told,
                    method,
                    value,
                    lambda one, p=path, n=parameter["name"], b=body: (
                        own_path(scene, p.replace(f"{{{n}}}", quote(str(one), safe=""))),
                        b,
                    ),
                )
                asked += 2
    assert told == []
    assert asked > 400


def test_in_query_parameters_and_filters(scene: Scene, harvest: dict[str, list[Any]]) -> None:
    told: list[str] = []
    base = {"from": "2026-08-01", "to": "2026-08-31"}
    asked = 0
    for path, method, operation in operations():
        given = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
        needed = {one["name"]: base[one["name"]] for one in given if one.get("required") and one["name"] in base}
        for parameter in given:
            for value in [*harvest["text"][:12], *harvest["uuid"][:4], *harvest["number"][:3]]:

                def make(one: Any, p: str = path, n: str = parameter["name"], more: Any = needed) -> tuple[str]:
                    return (own_path(scene, p) + "?" + urlencode(more | {n: one}),)

                compare(scene, told, method, value, make)
                asked += 2
    assert told == []
    assert asked > 800


def test_in_bodies(scene: Scene, harvest: dict[str, list[Any]]) -> None:
    """A body that would do for globex, with one field's value replaced."""
    told: list[str] = []
    schemas = describe()["components"]["schemas"]
    bodies = {line.route: line.body for line in RULES if line.body and line.answers[-1][0] in "24"}
    asked = 0
    for path, method, operation in operations():
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            continue
        fields = schemas[content["schema"]["$ref"].rpartition("/")[2]]["properties"]
        route = re.sub(r"\{(\w+)\}", lambda found: f"<{found[1]}>", path.removeprefix("/api/v1/"))
        known = next((body for one, body in bodies.items() if re.sub(r"<\w+:", "<", one) == route), {})
        start = {k: v for k, v in fill(known, scene.ids).items() if k not in {"tenant", "config"}} | {}
        for name, form in fields.items():
            kinds = {"integer": "number", "array": "text"}.get(str(form.get("type")), "text")
            values = [*harvest[kinds][:6], *(harvest["uuid"][:2] if kinds == "text" else [])]
            for value in values:

                def make(one: Any, p: str = path, n: str = name, f: Any = form, s: Any = start) -> tuple[str, Any]:
                    return own_path(scene, p), s | {n: [one] if f.get("type") == "array" else one}

                compare(scene, told, method, value, make)
                asked += 2
    assert told == []
    assert asked > 300


def test_cursors_are_bound_to_who_asked(scene: Scene, harvest: dict[str, list[Any]]) -> None:
    for link in harvest["cursor"]:
        assert scene.ask("owner", "GET", link).status_code == 200
        for who in ("other", "past_owner", "operator", "granted"):
            answer = scene.ask(who, "GET", link)
            assert answer.status_code in {400, 404}, (who, link)
            assert [mark for mark in scene.marks if mark in text_of(answer)] == []
    narrowed = scene.ask("narrowed", "GET", next(link for link in harvest["cursor"] if "/entitlements?" in link))
    assert (narrowed.status_code, narrowed.json()["errors"][0]["pointer"]) == (400, "?cursor")


def test_an_idempotency_key_is_its_tenants_own(scene: Scene) -> None:
    """Acme's key leads globex to nothing of acme's, with acme's own body too."""
    body = {
        "config": scene.ids["config"],
        "count": 1,
        "description": "quite secret text",
        "labels": {"secret-label": "secret-value"},
    }
    told = [
        scene.ask("other", "POST", "entitlements", body, Idempotency_Key=key) for key in ("acme-key-1", "never-used")
    ]
    assert plain(told[0], "") == plain(told[1], "")
    assert told[0].status_code == 400
    again = scene.ask("owner", "POST", "entitlements", body, Idempotency_Key="acme-key-1")
    assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")


def test_the_key_of_what_a_tenant_made_leads_nobody_else_to_it(scene: Scene) -> None:
    body = {"name": "secret-token-name", "scopes": ["entitlements:read"]}
    told = [
        scene.ask("other", "POST", "tenants/globex/tokens", body, Idempotency_Key=key)
        for key in ("acme-key-2", "never-used")
    ]
    assert plain(told[0], "") == plain(told[1], "")
    assert (told[0].status_code, str(scene.ids["token"]) in text_of(told[0])) == (201, False)
    for who in ("operator", "granted"):
        made = scene.ask(who, "POST", "tenants/acme/tokens", body, Idempotency_Key="acme-key-2")
        assert (made.status_code, "Idempotent-Replayed" in made.headers) == (201, False), who
    again = scene.ask("owner", "POST", "tenants/acme/tokens", body, Idempotency_Key="acme-key-2")
    assert (again.status_code, again["Idempotent-Replayed"], again.json()["id"]) == (201, "true", scene.ids["token"])


PATHS = (
    "entitlements/{serial}",
    "configs/{config}",
    "operations/{operation}",
    "statements/{number}",
    "tenants/acme/tokens",
)


@pytest.mark.parametrize("path", PATHS)
def test_a_foreign_id_costs_what_an_unknown_one_costs(scene: Scene, path: str) -> None:
    """The same queries, and the same time: medians of interleaved requests within a factor of each other."""
    foreign = path.format(**scene.ids)
    name = "acme" if "acme" in path else str(scene.ids[path.partition("{")[2][:-1]])
    unknown = foreign.replace(name, str(never_was(int(name) if name.isdigit() else name)))
    queries = []
    scene.ask("other", "GET", "whoami")  # whatever the first request of a day does, it has done
    for one in (foreign, unknown):
        with CaptureQueriesContext(connection) as captured:
            assert scene.ask("other", "GET", one).status_code == 404
        queries.append([re.sub(r"'[^']*'|\d+", "?", query["sql"]) for query in captured.captured_queries])
    assert queries[0] == queries[1]
    times: dict[str, list[float]] = {foreign: [], unknown: []}
    for one in itertools.chain.from_iterable([(foreign, unknown)] * 40):
        started = time.perf_counter()
        scene.ask("other", "GET", one)
        times[one].append(time.perf_counter() - started)
    medians = [statistics.median(seconds) for seconds in times.values()]
    assert max(medians) / min(medians) < 1.5
