"""Keyset pages: opaque cursors, bound to who asked and to what was asked, the same cost at any depth."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

from django.core import signing
from django.db.models import Q, QuerySet

from tenants.actors import Actor
from tenants.problems import invalid

DEFAULT_LIMIT, MAX_LIMIT = 100, 500


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Where in the list: path and filters bind the cursor, together with who asks."""

    actor: Actor
    path: str
    filters: Mapping[str, str]
    limit: int
    cursor: str | None


class Fetch(Protocol):
    """At most `count` rows beyond `start` (None = from the beginning), in the order of the keys or (not `upward`) against it."""

    def __call__(self, start: Sequence[Any] | None, *, upward: bool, count: int) -> list[Any]: ...


def read_page(
    queryset: "QuerySet[Any, Any]",
    page: PageRequest,
    *,
    keys: Sequence[str],
    descending: bool,
    render: Callable[[Any], Any],
    prepare: Callable[[list[Any]], None] = lambda rows: None,
) -> dict[str, Any]:
    """{"next", "previous", "results"} of `queryset` (a values() one or of models) ordered by `keys`, which must be unique together."""

    def fetch(start: Sequence[Any] | None, *, upward: bool, count: int) -> list[Any]:
        rows = queryset if start is None else queryset.filter(_beyond(keys, start, upward=upward))
        found = list(rows.order_by(*(key if upward else f"-{key}" for key in keys))[:count])
        prepare(found)
        return found

    return read_page_by(fetch, page, keys=keys, descending=descending, render=render)


def read_page_by(
    fetch: Fetch,
    page: PageRequest,
    *,
    keys: Sequence[str],
    descending: bool = False,
    render: Callable[[Any], Any] | None = None,
) -> dict[str, Any]:
    """The same of whatever `fetch` reads; without `render`, rows are shown as they come."""
    start, backward = _read_cursor(page) if page.cursor is not None else (None, False)
    rows = fetch(start, upward=descending == backward, count=page.limit + 1)
    more, rows = len(rows) > page.limit, rows[: page.limit]
    if backward:
        rows.reverse()
    has_next, has_previous = (True, more) if backward else (more, start is not None)
    return {
        "next": link_to(page, keys, rows[-1], backward=False) if rows and has_next else None,
        "previous": link_to(page, keys, rows[0], backward=True) if rows and has_previous else None,
        "results": rows if render is None else [render(row) for row in rows],
    }


def _beyond(keys: Sequence[str], start: Sequence[Any], *, upward: bool) -> Q:
    """Rows after `start` in the order of `keys`, as (a > x) or (a = x and b > y)…"""
    condition, equal = Q(), Q()
    for key, value in zip(keys, start, strict=True):
        condition |= equal & Q(**{f"{key}__{'gt' if upward else 'lt'}": value})
        equal &= Q(**{key: value})
    return condition


def _salt(page: PageRequest) -> str:
    asker = f"{page.actor.kind}:" + ",".join(sorted(map(str, page.actor.tenant_ids)))
    if page.actor.reach is not None:
        asker += f":{page.actor.token_id}"
    return f"cursor:{asker}:{page.path}:{urlencode(sorted(page.filters.items()))}"


def link_to(page: PageRequest, keys: Sequence[str], row: Any, *, backward: bool) -> str:
    """The link to the page behind `row` (or before it), for who asked."""
    values = [row[key] if isinstance(row, dict) else getattr(row, key) for key in keys]
    payload = json.dumps([backward, [str(value) if not isinstance(value, (int, str)) else value for value in values]])
    cursor = base64.urlsafe_b64encode(signing.Signer(salt=_salt(page)).sign(payload).encode()).decode().rstrip("=")
    return f"{page.path}?{urlencode({**page.filters, 'limit': page.limit, 'cursor': cursor})}"


def _read_cursor(page: PageRequest) -> tuple[list[Any], bool]:
    try:
        cursor = page.cursor or ""
        signed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        backward, values = json.loads(signing.Signer(salt=_salt(page)).unsign(signed))
    except (ValueError, signing.BadSignature) as error:
        raise invalid("?cursor", "This cursor was not made for this list; start again without one.") from error
    return values, backward
