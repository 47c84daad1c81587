"""Cookies, and what needs them, belong to the admin: token clients under /api and /ES pay for none of it."""

from collections.abc import Callable

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import User
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from tenants.access import actor_of_user
from tenants.actors import AUTHENTICATOR, system
from tenants.addresses import neighbourhood
from tenants.body_slots import read_body
from tenants.context import acting_as, current_address
from tenants.problems import Problem, answer_problem
from tenants.staff import is_fully_signed_in

ADMIN = "/admin/"
PASSWORD_CHANGE = "/admin/password_change/"  # noqa: S105 - a path


class AdminSessionMiddleware(SessionMiddleware):
    """Reads the form first, in a slot: the CSRF check would read it before anybody is known."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not _is_admin(request):
            return self.get_response(request)  # type: ignore[return-value]
        if request.method == "POST":
            try:
                asker = neighbourhood(current_address())
                read_body(lambda: request.body, request.META, asker, stranger=True, patience=0)
            except Problem as problem:
                return answer_problem(request, problem)
        return super().__call__(request)  # type: ignore[return-value]


class AdminAuthenticationMiddleware(AuthenticationMiddleware):
    def __call__(self, request: HttpRequest) -> HttpResponse:
        return super().__call__(request) if _is_admin(request) else self.get_response(request)  # type: ignore[return-value]


class AdminMessageMiddleware(MessageMiddleware):
    def __call__(self, request: HttpRequest) -> HttpResponse:
        return super().__call__(request) if _is_admin(request) else self.get_response(request)  # type: ignore[return-value]


class AdminStandingMiddleware:
    """Runs an admin page in the standing of who looks at it: a superuser as the operator, staff within their tenants, others as nobody."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not _is_admin(request):
            return self.get_response(request)
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


def _is_admin(request: HttpRequest) -> bool:
    return request.path.startswith(ADMIN)
