"""FortiFlex's paths, in any case and with doubled slashes; with and without a trailing one, and never a redirect."""

from django.urls import re_path

from gateway.dropin.views import answer_call, log_in, revoke


def any_case(path: str) -> str:
    """A pattern for `path` in any case, each slash once or more. Not `(?i)`: Django can't reverse other routes beside one."""
    return "".join("/+" if char == "/" else f"[{char}{char.upper()}]" if char.isalpha() else char for char in path)


urlpatterns = [
    re_path(rf"^/*{any_case('api/v1/oauth/token')}/*$", log_in),
    re_path(rf"^/*{any_case('api/v1/oauth/revoke_token')}/*$", revoke),
    re_path(rf"^/*{any_case('es')}(?:/.*)?$", answer_call),
]
