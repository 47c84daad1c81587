"""The base of every view under /api/v1: who asks, may they, what exactly did they ask, and how the answer is labelled."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.actors import Actor, ActorKind
from tenants.api.etags import etag_of, etag_of_body, read_etags
from tenants.api.known_fields import parameters_of, serializer_with_fields, unknown_fields
from tenants.api.presuming import PresumingView
from tenants.authentication import not_authenticated
from tenants.bodies import MOST_NAMED, dump_json
from tenants.context import acting_as
from tenants.idempotency import REPLAYED, IdempotencyKey, Made, read_key
from tenants.pages import DEFAULT_LIMIT, MAX_LIMIT, Fetch, PageRequest, read_page, read_page_by
from tenants.problems import Problem, invalid
from tenants.refusals import record_refusal


class PageParameters(serializers.Serializer[Any]):
    """What every paged list takes, for the description; `ApiView.page` reads it."""

    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT)
    cursor = serializers.CharField(required=False, help_text="from the link of another page of the same list")


class ApiView(PresumingView):
    """Declare `scopes` per method (None = any token), `operator_methods` and `narrowed_methods`; all are checked before any look-up.

    A narrowed token may use `narrowed_methods` alone: those whose reach can be told from the serials and configs they are about.

    `get` of a subclass runs inside `acting_as(self.actor)`, unless `opens_context` is False because it reads by `ask_as` alone; every
    other method opens it in its verb, because it may call FortiFlex.
    """

    scopes: ClassVar[Mapping[str, str | None]] = {}
    operator_methods: ClassVar[frozenset[str]] = frozenset()
    narrowed_methods: ClassVar[frozenset[str]] = frozenset()
    opens_context: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "get" in cls.__dict__ and cls.opens_context:
            cls.get = _read_in_context(cls.__dict__["get"])  # type: ignore[attr-defined]

    @property
    def actor(self) -> Actor:
        actor = self.request.user
        if not isinstance(actor, Actor):
            raise not_authenticated()
        return actor

    def check_permissions(self, request: Request) -> None:
        method = "GET" if request.method == "HEAD" else str(request.method)
        actor = self.actor
        if method not in self.scopes:
            return  # OPTIONS and 405 touch no data
        scope = self.scopes[method]
        problem = self._why_refused(actor, method, scope)
        if problem is not None:
            record_refusal(actor, problem.code, method=method, path=self._route())
            raise problem
        if scope is not None:
            request.user = actor.with_scope(scope)  # type: ignore[assignment] # a staff user's wall: the tenants on which they may do this

    def require_scope(self, scope: str) -> None:
        """A second scope that only shows once the body or the row is known; narrows staff like the first. Problem `insufficient_scope`."""
        narrowed = self.actor.with_scope(scope)
        if not (narrowed.tenant_ids if narrowed.kind is ActorKind.STAFF else narrowed.may(scope)):
            record_refusal(self.actor, "insufficient_scope", method=str(self.request.method), path=self._route())
            raise Problem("insufficient_scope", f"This token lacks the scope {scope}.")
        self.request.user = narrowed  # type: ignore[assignment]

    def _why_refused(self, actor: Actor, method: str, scope: str | None) -> Problem | None:
        if method in self.operator_methods and not actor.sees_every_tenant:
            return Problem("operator_only", "Only the operator's tokens may do this.")
        if scope is not None and not actor.may(scope):
            return Problem("insufficient_scope", f"This token lacks the scope {scope}.")
        if actor.reach is not None and method not in self.narrowed_methods:
            return Problem(
                "token_narrowed", "This token is narrowed to some entitlements or configs, and this is about more."
            )
        return None

    def _route(self) -> str:
        """The pattern and not the path: a refusal writes nothing down that the caller made up."""
        match = self.request.resolver_match
        return str(match.route) if match is not None else ""

    def read_body(self, serializer_class: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The checked body. Problem `invalid` with a pointer for every unknown, missing or wrong field."""
        body = self.read_data()
        serializer = serializer_with_fields(serializer_class, body)
        unknown = list(islice(unknown_fields(serializer, body), MOST_NAMED))
        if unknown:
            raise Problem(
                "invalid",
                f"Unknown field: {', '.join(pointer.removeprefix('/') for pointer in unknown)}.",
                errors=[{"pointer": pointer, "detail": "There is no such field here."} for pointer in unknown],
            )
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def read_key(self) -> IdempotencyKey | None:
        """The request's Idempotency-Key, bound to who asks, the path and the body. Problem `invalid`."""
        request = self.request
        return read_key(self.actor, request.headers.get("Idempotency-Key"), path=request.path, body=request.data)

    def answer_made(self, made: Made[Any], shown: Any, *, location: str = "") -> Response:
        """201 with what was made, by this request or by an earlier one with the same key."""
        headers = {"Location": location} if location else {}
        return Response(shown, status=201, headers=headers | (REPLAYED if made.replayed else {}))

    def read_query(
        self, serializer_class: type[serializers.Serializer[Any]] | None = None, *, paged: bool = False
    ) -> dict[str, Any]:
        """The checked query parameters; with `paged` also `limit` and `cursor`. Unknown or repeated ones are refused."""
        given = self.request.query_params
        known, may_be_empty = parameters_of(serializer_class)
        serializer = None
        if serializer_class is not None and not (may_be_empty and known.isdisjoint(given)):
            serializer = serializer_class(data=given.dict())
        for name in given:
            if name not in known and not (paged and name in {"limit", "cursor"}):
                raise invalid(f"?{name}", f"There is no query parameter {name!r} here.")
            if len(given.getlist(name)) > 1:
                raise invalid(f"?{name}", f"Give {name!r} once.")
        checked: dict[str, Any] = {}
        if serializer is not None:
            if not serializer.is_valid():
                errors = [
                    {"pointer": f"?{name}", "detail": str(detail)}
                    for name, details in serializer.errors.items()
                    for detail in details
                ]
                raise Problem("invalid", errors[0]["detail"], errors=errors)
            checked = dict(serializer.validated_data)
        return checked

    def page(
        self,
        queryset: "QuerySet[Any, Any]",
        *,
        keys: Sequence[str],
        render: Callable[[Any], Any],
        prepare: Callable[[list[Any]], None] = lambda rows: None,
        descending: bool = False,
    ) -> dict[str, Any]:
        """One keyset page of `queryset`; call `read_query(…, paged=True)` first. {"next", "previous", "results"}, links relative.

        `prepare` sees the rows of the page before they are rendered, for what is asked once for all of them.
        """
        page = self._page_request()
        return read_page(queryset, page, keys=keys, descending=descending, prepare=prepare, render=render)

    def page_by(self, fetch: Fetch, *, keys: Sequence[str]) -> dict[str, Any]:
        """One keyset page of what `fetch` reads, upward and ready to be shown."""
        return read_page_by(fetch, self._page_request(), keys=keys)

    def _page_request(self) -> PageRequest:
        given = self.request.query_params
        limit = given.get("limit", str(DEFAULT_LIMIT))
        if not re.fullmatch(r"[0-9]{1,9}", limit) or not 1 <= int(limit) <= MAX_LIMIT:
            raise invalid("?limit", f"limit is a whole number from 1 to {MAX_LIMIT}.")
        return PageRequest(
            actor=self.actor,
            path=self.request.path,
            filters={name: str(value) for name, value in given.items() if name not in {"limit", "cursor"}},
            limit=int(limit),
            cursor=given.get("cursor"),
        )

    def require_match(self, current: Any) -> None:
        """Problem `precondition_failed` if the caller's If-Match names another state than `current` (what GET would answer now)."""
        wanted = self.request.headers.get("If-Match")
        if wanted and wanted.strip() != "*" and etag_of(current) not in read_etags(wanted):
            raise Problem(
                "precondition_failed", "The resource changed since you read it; read it again, then repeat the change."
            )

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "private, no-cache"
        if (
            request.method in {"GET", "HEAD"}
            and response.status_code == 200
            and getattr(response, "data", None) is not None
        ):
            body = dump_json(response.data)
            response["ETag"] = etag_of_body(body)
            if response["ETag"] in read_etags(request.headers.get("If-None-Match", "")):
                response.data, response.status_code = None, 304
            response.renderer_context["body"] = body  # type: ignore[attr-defined] # DRF's own, of every response
        return response


def _read_in_context(handler: Callable[..., Response]) -> Callable[..., Response]:
    @functools.wraps(handler)
    def get(self: ApiView, *args: Any, **kwargs: Any) -> Response:
        with acting_as(self.actor):
            return handler(self, *args, **kwargs)

    return get
