"""Cookies, and what needs them, belong to the admin: token clients under /api and /ES pay for none of it, not even for passing it by."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import User
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from whitenoise.middleware import WhiteNoiseMiddleware

from tenants.access import actor_of_user
from tenants.actors import AUTHENTICATOR, system
from tenants.addresses import neighbourhood
from tenants.body_slots import read_body
from tenants.context import acting_as, current_address
from tenants.problems import Problem, answer_problem
from tenants.staff import is_fully_signed_in

STATIC, ADMIN = "/static/", "/admin/"
DOCS = "/api/v1/docs"  # it shows a signed-in person's CSRF token to its own script
PASSWORD_CHANGE = "/admin/password_change/"  # noqa: S105 - a path
Respond = Callable[[HttpRequest], HttpResponse]


class PagesMiddleware:
    """All that the pages of the admin and their files go through, and nothing else does.

    One of `MIDDLEWARE`, where every request would ask each of its own.
    """

    def __init__(self, get_response: Respond) -> None:
        self._answer = get_response
        self._files = WhiteNoiseMiddleware(get_response)
        self._docs = CsrfViewMiddleware(get_response)
        self._csrf = CsrfViewMiddleware(AuthenticationMiddleware(MessageMiddleware(_Standing(get_response))))
        self._admin = _Session(self._csrf)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(ADMIN):
            return self._admin(request)
        if request.path == DOCS:
            return self._docs(request)  # type: ignore[return-value]
        if request.path.startswith(STATIC):
            return self._files(request)  # type: ignore[no-any-return]
        return self._answer(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> HttpResponseBase | None:
        """Django asks it once the view is known. Of the API's own views, those that take a cookie look at the token themselves (tenants.staff)."""
        if not request.path.startswith(ADMIN):
            return None
        return self._csrf.process_view(request, view, args, kwargs)  # type: ignore[arg-type]


class _Session(SessionMiddleware):
    """Reads the form first, in a slot: the CSRF check would read it before anybody is known."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method == "POST":
            try:
                asker = neighbourhood(current_address())
                read_body(lambda: request.body, request.META, asker, stranger=True, patience=0)
            except Problem as problem:
                return answer_problem(request, problem)
        return super().__call__(request)  # type: ignore[return-value]


class _Standing:
    """Runs an admin page in the standing of who looks at it: a superuser as the operator, staff within their tenants, others as nobody."""

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        signed_in = isinstance(user, User) and user.is_active and user.is_staff and is_fully_signed_in(request, user)
        request.actor = actor_of_user(user) if signed_in else AUTHENTICATOR  # type: ignore[attr-defined,arg-type]
        standing = request.actor  # type: ignore[attr-defined]
        if signed_in and request.path == PASSWORD_CHANGE:
            standing = system("password change")  # the page touches the user who asks and nobody else
        with acting_as(standing):
            response = self.get_response(request)
            if response.status_code >= 500:
                transaction.set_rollback(True)
        return response
