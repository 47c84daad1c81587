"""Tokens that this process has let in lately, by a digest of what was presented: for them the rates are asked together with the look-up, and
who may be presumed (tenants.presumption) is asked with what the request asks anyway.

Nothing is decided by it. Whoever does not present the same secret again is looked up first, so that nobody who knows only a token's id uses
up its rates; and a token that is let in no more is forgotten at once.
"""

import hashlib
import hmac
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from tenants.models import Token
from tenants.rate_limits import Rate

MOST = 2000
_lock = threading.Lock()
_known: "OrderedDict[UUID, tuple[bytes, KnownToken]]" = OrderedDict()


@dataclass(frozen=True, slots=True)
class KnownToken:
    """`token` with its tenant, as `token_lookup` read them, for all threads: nobody changes them. `is_current` = and nothing was written since."""

    token: Token
    rates: Sequence[Rate]
    is_current: bool


def recall_token(token_id: UUID, presented: str) -> KnownToken | None:
    with _lock:
        found = _known.get(token_id)
    if found is None or not hmac.compare_digest(found[0], _digest(presented)):
        return None
    return found[1]


def remember_token(presented: str, known: KnownToken) -> None:
    with _lock:
        _known[known.token.id] = (_digest(presented), known)
        _known.move_to_end(known.token.id)
        if len(_known) > MOST:
            _known.popitem(last=False)


def doubt_token(token_id: UUID) -> None:
    """Look it up at its next use, if it is known still."""
    with _lock:
        if token_id in _known:
            digest, known = _known[token_id]
            _known[token_id] = digest, replace(known, is_current=False)


def forget_token(token_id: UUID) -> None:
    with _lock:
        _known.pop(token_id, None)


def _digest(presented: str) -> bytes:
    return hashlib.sha256(presented.encode()).digest()
