"""Staff users: their password check, and who stands behind a session cookie. Every access stands as the authenticator."""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django_otp import DEVICE_ID_SESSION_KEY, user_has_device
from django_otp.models import Device
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.request import Request

from tenants.access import actor_of_user
from tenants.actors import AUTHENTICATOR, Actor
from tenants.context import acting_as
from tenants.problems import Problem
from tenants.rate_limits import Rate, take
from tenants.sessions import SessionStore


class StaffBackend(ModelBackend):
    """Django's own password check, under the one role that may read users."""

    def authenticate(self, request: HttpRequest | None, username: Any = None, password: Any = None, **more: Any) -> Any:
        with acting_as(AUTHENTICATOR):
            return super().authenticate(request, username=username, password=password, **more)

    def get_user(self, user_id: Any) -> Any:
        with acting_as(AUTHENTICATOR):
            return super().get_user(user_id)


class StaffSessionAuthentication(BaseAuthentication):
    """A staff user's session cookie, from the admin's sign-in. Whatever changes something needs the CSRF token as well."""

    def authenticate(self, request: Request) -> tuple[Actor, None] | None:
        plain = request._request
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or "Authorization" in request.headers:
            return None
        user = staff_user_of(plain)
        if user is None:
            return None
        _require_csrf(plain)
        take([Rate("user", f"user:{user.pk}", settings.FLEXGATE_REQUESTS_PER_TOKEN)])
        return actor_of_user(user), None


def staff_user_of(request: HttpRequest) -> User | None:
    """The active staff user whose session cookie came with `request`, signed in with all factors; None otherwise."""
    request.session = SessionStore(request.COOKIES[settings.SESSION_COOKIE_NAME])
    with acting_as(AUTHENTICATOR):
        user = get_user(request)
        if not isinstance(user, User) or not user.is_staff:
            return None
        return user if is_fully_signed_in(request, user) else None


def is_fully_signed_in(request: HttpRequest, user: User) -> bool:
    """Whether this session has shown the second factor, where the user has one or everybody must."""
    with acting_as(AUTHENTICATOR):
        if not settings.FLEXGATE_SECOND_FACTOR and not user_has_device(user):
            return True
        device_id = request.session.get(DEVICE_ID_SESSION_KEY)
        device = Device.from_persistent_id(device_id) if device_id else None
        return device is not None and device.user_id == user.pk and bool(device.confirmed)


def _require_csrf(request: HttpRequest) -> None:
    check = CSRFCheck(lambda _: HttpResponse())  # it only looks
    check.process_request(request)
    reason = check.process_view(request, None, (), {})  # type: ignore[arg-type]
    if reason:
        raise Problem("csrf_failed", f"Send the cookie's value as X-CSRFToken with every change. {reason}")
