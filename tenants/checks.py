"""What production refuses, as system checks with stable ids: `check --deploy`, and every start of `serve` or of a WSGI server."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from tenants.keyrings import parse_keyring

SECRETS = (
    "SECRET_KEY",
    "FLEXGATE_TOKEN_PEPPERS",
    "FLEXGATE_CREDENTIAL_KEYS",
    "FLEXGATE_TAG_KEY",
    "FLEXGATE_AUDIT_KEYS",
)
SHORTEST = 32  # characters
KEYRINGS = ("FLEXGATE_TOKEN_PEPPERS", "FLEXGATE_CREDENTIAL_KEYS", "FLEXGATE_AUDIT_KEYS")


@register(Tags.security)
def check_production(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Debug, generated secrets, one key for two purposes, wildcard hosts. With debug, only what would mix test and live."""
    found: list[CheckMessage] = []
    if settings.FLEXGATE_DEBUG:
        if settings.FLEXGATE_ENVIRONMENT == "live":
            found.append(
                _error(
                    "E001", "FLEXGATE_DEBUG=1 in the live environment.", "Unset FLEXGATE_DEBUG, or practise in 'test'."
                )
            )
        return found
    found += [_error("E002", f"{name} was generated for practising.", "Make one of your own.") for name in _generated()]
    if any("*" in host or host.startswith(".") for host in settings.ALLOWED_HOSTS):
        found.append(_error("E003", "FLEXGATE_ALLOWED_HOSTS has a wildcard.", "Name every host."))
    if not settings.ALLOWED_HOSTS:
        found.append(_error("E003", "FLEXGATE_ALLOWED_HOSTS is empty.", "Name the hosts that the gateway answers to."))
    found += _check_keys()
    if any(origin == "null" or origin.startswith("http://") for origin in settings.CORS_ALLOWED_ORIGINS):
        found.append(_error("E005", "FLEXGATE_CORS_ORIGINS has an origin without TLS.", "Name https origins alone."))
    return found


@register(Tags.security, deploy=True)
def check_second_factor(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """`check --deploy` alone: worth a warning, not worth refusing to start."""
    if settings.FLEXGATE_SECOND_FACTOR:
        return []
    hint = "Set FLEXGATE_SECOND_FACTOR=1 once everybody has one."
    return [Warning("Staff without a second factor may sign in.", hint=hint, id="flexgate.W001")]


def _generated() -> list[str]:
    """Secrets whose value lies under FLEXGATE_DATA/secrets: copied from there, or the data folder of a practising gateway."""
    folder = Path(settings.FLEXGATE_DATA) / "secrets"
    if not folder.is_dir():
        return []
    known = {path.read_text().strip() for path in folder.iterdir() if path.is_file()}
    return [name for name in SECRETS if getattr(settings, name) in known]


def _check_keys() -> list[CheckMessage]:
    seen: dict[bytes, str] = {}
    found: list[CheckMessage] = []
    for name in ("SECRET_KEY", "FLEXGATE_TAG_KEY"):
        text = getattr(settings, name).encode()
        if len(text) < SHORTEST or len(set(text)) < 8:
            found.append(
                _error("E004", f"{name} is no random text of {SHORTEST} characters or more.", "Make a long one.")
            )
        other = seen.setdefault(text, name)
        if other != name:
            found.append(_error("E004", f"{name} and {other} are the same.", "One key, one purpose."))
    for name in KEYRINGS:
        for key_id, key in parse_keyring(getattr(settings, name), name=name).keys.items():
            other = seen.setdefault(key, name)
            if other != name:
                found.append(_error("E004", f"{name} and {other} share a key.", "One key, one purpose."))
            if len(set(key)) < 8:
                found.append(
                    _error("E004", f"Key {key_id!r} of {name} is not random.", "Make one from the system's randomness.")
                )
    return found


def _error(number: str, message: str, hint: str) -> Error:
    return Error(message, hint=hint, id=f"flexgate.{number}")
