"""Token secrets: kept as hashes under numbered peppers. A new pepper is put first; old hashes are renewed as their tokens are used."""

import hmac
from functools import cache
from typing import Any

from django.conf import settings

from tenants.keyrings import Keyring, parse_keyring
from tenants.models import Token


@cache
def peppers() -> Keyring:
    return parse_keyring(settings.FLEXGATE_TOKEN_PEPPERS, name="FLEXGATE_TOKEN_PEPPERS")


def rehash(secret: str) -> dict[str, Any]:
    """The two columns that keep `secret`, under the newest pepper."""
    newest = peppers().newest
    return {"secret_hash": _hash(secret, pepper=newest), "pepper": newest}


def needs_rehash(token: Token) -> bool:
    return token.pepper != peppers().newest


def secret_matches(token: Token, secret: str) -> bool:
    """Constant-time comparison with the stored keyed hash; False if its pepper is no longer configured."""
    if token.pepper not in peppers().keys:
        return False
    return hmac.compare_digest(bytes(token.secret_hash), _hash(secret, pepper=token.pepper))


def hash_session(value: str) -> bytes:
    """The keyed hash by which a session's token is kept from now on; no token's own hash is ever the same."""
    return _hash(f"session:{value}", pepper=peppers().newest)


def possible_session_hashes(value: str) -> list[bytes]:
    """Every hash by which `value` may be kept: one per pepper."""
    return [_hash(f"session:{value}", pepper=pepper) for pepper in peppers().keys]


def hash_request(fingerprint: str) -> bytes:
    """The keyed hash by which a request's fingerprint is kept: its body may hold a password, and a plain hash could be tried out."""
    return _hash(f"request:{fingerprint}", pepper=peppers().newest)


def possible_request_hashes(fingerprint: str) -> list[bytes]:
    """Every hash by which `fingerprint` may be kept: one per pepper."""
    return [_hash(f"request:{fingerprint}", pepper=pepper) for pepper in peppers().keys]


def _hash(secret: str, *, pepper: str) -> bytes:
    return hmac.digest(peppers().keys[pepper], secret.encode(), "sha256")
