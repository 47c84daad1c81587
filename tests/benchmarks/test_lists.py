"""GET entitlements out of 200,000 against a bare Django view that reads and renders the same rows: no token, no roles, no walls.

Both go through the same test client and the same middleware, by turns, so that what disturbs one disturbs both.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path

from gateway import urls
from gateway.models import Entitlement
from tenants.context import acting_as
from tenants.pages import PageRequest, link_to
from tests.benchmarks.test_ratios import show
from tests.databases import OwnDatabase
from tests.people import SETUP, ApiClient, People, make_people
from tests.worlds import make_world

ROWS = 200_000
# One tenant owns most; another the last hundred, where a search from the beginning comes last.
FILL = f"""
    INSERT INTO gateway_entitlement (serial_number, program_id, account_id, config_id, tenant_id, description, upstream_description,
        proposed_tenant, status, token, token_status, folder_path, labels, operator_labels, first_seen_at, raw)
    SELECT 'FGVMBENCH' || lpad(n::text, 8, '0'), config.program_id, config.account_id, config.id,
        (SELECT id FROM tenants_tenant WHERE slug = CASE WHEN n > {ROWS - 150} THEN 'globex' ELSE 'acme' END),
        'branch ' || n, '', '', 'ACTIVE', lpad(n::text, 20, '0'), 'NOTUSED', '', '{{"cost": "7"}}', '{{}}', now(), '{{}}'
    FROM generate_series(1, {ROWS}) n CROSS JOIN (SELECT * FROM gateway_config LIMIT 1) config
"""
COLUMNS = (
    "serial_number",
    "tenant__slug",
    "config_id",
    "account_id",
    "program_id",
    "config__product",
    "description",
    "status",
    "start_day",
    "end_day",
    "token",
    "token_status",
    "labels",
    "operator_labels",
    "first_seen_at",
)


def answer_bare(request: HttpRequest) -> HttpResponse:
    """A page from where `after` says, in one values() query, as somebody without customers would write it."""
    rows = Entitlement.objects.using("owner").filter(serial_number__gt=request.GET["after"]).order_by("serial_number")
    return HttpResponse(orjson.dumps({"results": list(rows.values(*COLUMNS)[:100])}), content_type="application/json")


urlpatterns = [path("api/v1/bare", answer_bare), *urls.urlpatterns]


@pytest.fixture
def people(own_database: OwnDatabase) -> Iterator[People]:
    people = make_people()
    make_world()
    with acting_as(SETUP), connection.cursor() as cursor:
        cursor.execute(FILL)
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE")
    with override_settings(ROOT_URLCONF=__name__):
        yield people


def compare(one: Callable[[], Any], other: Callable[[], Any], *, times: int = 80) -> float:
    """The ratio of medians of interleaved runs."""
    found: dict[int, list[float]] = {0: [], 1: []}
    for number in range(times * 2 + 10):
        work = (one, other)[number % 2]
        started = time.perf_counter()
        work()
        if number >= 10:  # warm
            found[number % 2].append(time.perf_counter() - started)
    return statistics.median(found[0]) / statistics.median(found[1])


def page_behind(client: ApiClient, number: int) -> str:
    """The link to the page behind row `number`, as the API would give it to who reads that far."""
    request = PageRequest(actor=client.actor, path="/api/v1/entitlements", filters={}, limit=100, cursor=None)
    return link_to(request, ("serial_number",), {"serial_number": serial(number)}, backward=False)


def serial(number: int) -> str:
    return f"FGVMBENCH{number:08d}"


@pytest.mark.parametrize("who", ["acme", "globex"])
def test_a_page_of_100_at_any_depth(people: People, who: str) -> None:
    client: ApiClient = getattr(people, who)
    starts = {"acme": (0, ROWS // 2, ROWS - 150 - 100), "globex": (ROWS - 150, ROWS - 125, ROWS - 100)}[who]
    queries, bare_client = set(), Client()
    client.get("whoami")  # a token's last use is written once a minute
    for name, start in zip(("first", "middle", "last"), starts, strict=True):
        link = page_behind(client, start) if name != "first" else "/api/v1/entitlements?limit=100"
        bare = f"/api/v1/bare?after={serial(start)}"
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(link)
        queries.add(len(captured))
        shown = [row["serial_number"] for row in answer.json()["results"]]
        assert shown[0] == serial(start + 1)
        ratio = compare(lambda link=link: client.get(link), lambda bare=bare: bare_client.get(bare))  # type: ignore[misc]
        show(f"{who}'s {name} page of {len(shown)} out of {ROWS:,}, against a bare view", ratio, 1.0, at_most=2.0)
    assert queries == {2}, "the token with its rates, the list"
