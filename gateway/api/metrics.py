"""GET /metrics: for the operator's monitoring."""

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from prometheus_client import CONTENT_TYPE_LATEST
from rest_framework.request import Request

from tenants.api import ApiView
from tenants.metrics import render_metrics


class MetricsView(ApiView):
    """Prometheus' text format, with an operator's token that has metrics:read."""

    scopes = {"GET": "metrics:read"}
    operator_methods = frozenset({"GET"})

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        self.read_query()
        return HttpResponse(render_metrics(), content_type=CONTENT_TYPE_LATEST)
