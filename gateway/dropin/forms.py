"""Under FortiFlex's paths every error has FortiFlex's form, also what fails before a view: a wrong host, a body too large, no route."""

from collections.abc import Collection

from django.conf import settings

from gateway.dropin.envelope import render_failure, render_login_failure
from tenants.problems import register_error_form


def register_forms() -> None:
    register_error_form("/ES", render_failure, hosts=_hosts, is_on=_is_on)
    for path in ("/api/v1/oauth/token", "/api/v1/oauth/revoke_token"):
        register_error_form(path, render_login_failure, hosts=_hosts, is_on=_is_on)


def _is_on() -> bool:
    return bool(settings.FLEXGATE_DROPIN)


def _hosts() -> Collection[str]:
    return settings.FLEXGATE_DROPIN_HOSTS  # type: ignore[no-any-return]
