"""Which form an answer has: for who wants JSON or takes anything, without asking DRF."""

from collections.abc import Iterable
from typing import cast

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

JSON = "application/json"
USUAL = frozenset({"*/*", JSON, f"{JSON}, */*", f"{JSON}, text/plain, */*"})


class UsualFirst(DefaultContentNegotiation):
    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first, *others = renderers
        is_usual = request.META.get("HTTP_ACCEPT", "*/*") in USUAL and not request.META.get("QUERY_STRING")
        if is_usual and not others and not format_suffix and first.media_type == JSON:
            return first, JSON
        return cast("tuple[BaseRenderer, str]", super().select_renderer(request, [first, *others], format_suffix))
