"""The event feed, and what its types mean."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.actors import Actor, ActorKind
from tenants.api.base import ApiView
from tenants.events import registered_events
from tenants.models import EventPosition
from tenants.problems import invalid
from tenants.sealing import seal_events

FURTHEST = 2**62


class EventFilterSerializer(serializers.Serializer[Any]):
    after = serializers.IntegerField(
        min_value=0,
        max_value=FURTHEST,
        default=0,
        help_text="the position of the last event you have; 0 = from the start",
    )
    limit = serializers.IntegerField(min_value=1, max_value=500, default=100)
    type = serializers.CharField(max_length=60, required=False, help_text="this type alone")
    tenant = serializers.CharField(
        max_length=40, required=False, help_text="this tenant's own feed, with its positions; staff name it"
    )


class SubjectSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    id = serializers.CharField()


class EventSerializer(serializers.Serializer[Any]):
    position = serializers.IntegerField()
    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    type = serializers.CharField()
    tenant = serializers.CharField(allow_null=True)
    subject = SubjectSerializer()
    data = serializers.DictField()  # type: ignore[assignment]
    request_id = serializers.CharField(allow_blank=True)


class EventPageSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = EventSerializer(many=True)


class EventTypeSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    meaning = serializers.CharField()
    schema = serializers.DictField(help_text="JSON Schema 2020-12 of data")


class EventTypeListSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = EventTypeSerializer(many=True)


class EventsView(ApiView):
    """Positions are gapless and never change: whoever remembers the last one misses nothing and gets nothing twice."""

    scopes = {"GET": "events:read"}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        seal_events()  # what is committed is in the feed now, whether or not a worker runs

    @extend_schema(
        operation_id="read_events",
        parameters=[EventFilterSerializer],
        responses=EventPageSerializer,
        summary="Events after a position, the oldest first",
    )
    def get(self, request: Request) -> Response:
        query = self.read_query(EventFilterSerializer)
        rows, position = _feed(self.actor, query.get("tenant"))
        rows = rows.filter(**{f"{position}__gt": query["after"]})
        if "type" in query:
            if query["type"] not in registered_events():
                raise invalid("?type", "There is no such type of event; see event-types.")
            rows = rows.filter(event__type=query["type"])
        found = list(rows.select_related("event", "tenant").order_by(position)[: query["limit"] + 1])
        more, found = len(found) > query["limit"], found[: query["limit"]]
        shown = [_render(row, getattr(row, position)) for row in found]
        following = request.query_params.copy()
        following["after"] = str(shown[-1]["position"]) if shown else ""
        link = f"{request.path}?{following.urlencode()}" if more else None
        return Response({"next": link, "previous": None, "results": shown})


class EventTypesView(ApiView):
    scopes = {"GET": "events:read"}

    @extend_schema(operation_id="list_event_types", responses=EventTypeListSerializer, summary="Every type of event")
    def get(self, request: Request) -> Response:
        self.read_query()
        kinds = sorted(registered_events().values(), key=lambda kind: kind.name)
        shown = [{"type": kind.name, "meaning": kind.meaning, "schema": kind.schema} for kind in kinds]
        return Response({"next": None, "previous": None, "results": shown})


def _feed(actor: Actor, slug: str | None) -> tuple[Any, str]:
    """The rows of a feed, and the column that is its position. A tenant's own positions tell nothing about anybody else."""
    rows = EventPosition.objects.visible_to(actor)
    if slug is None and actor.sees_every_tenant:
        return rows, "operator_position"
    if slug is None and actor.kind is ActorKind.STAFF:
        raise invalid("?tenant", "Name the tenant whose feed you read: each has positions of its own.")
    if slug is None:
        return rows, "position"
    return rows.filter(tenant__slug=slug), "position"


def _render(row: Any, position: int) -> dict[str, Any]:
    event = row.event
    return {
        "position": position,
        "id": event.id,
        "at": event.at,
        "type": event.type,
        "tenant": row.tenant.slug if row.tenant else None,
        "subject": {"type": event.subject_type, "id": event.subject_key},
        "data": event.data,
        "request_id": event.request_id,
    }
