"""Before anything else of a new billing day: what changes hands today has changed hands."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from gateway.ownership import ensure_flipped


class NewDayMiddleware:
    """One comparison per request; one statement per process and day. Only what shows ownership waits for it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.headers.get("Authorization") or settings.SESSION_COOKIE_NAME in request.COOKIES:
            ensure_flipped()
        return self.get_response(request)
