"""Tokens that this process has let in lately, by a digest of what was presented: for them the rates are asked together with the look-up.

Nothing is decided by it. Whoever does not present the same secret again is looked up first, so that nobody who knows only a token's id uses
up its rates; and a token that is let in no more is forgotten at once.
"""

import hashlib
import hmac
import threading
from collections import OrderedDict
from collections.abc import Sequence
from uuid import UUID

from tenants.rate_limits import Rate

MOST = 2000
_lock = threading.Lock()
_known: "OrderedDict[UUID, tuple[bytes, Sequence[Rate]]]" = OrderedDict()


def recall_rates(token_id: UUID, presented: str) -> Sequence[Rate] | None:
    with _lock:
        found = _known.get(token_id)
    if found is None or not hmac.compare_digest(found[0], _digest(presented)):
        return None
    return found[1]


def remember_rates(token_id: UUID, presented: str, rates: Sequence[Rate]) -> None:
    with _lock:
        _known[token_id] = (_digest(presented), rates)
        _known.move_to_end(token_id)
        if len(_known) > MOST:
            _known.popitem(last=False)


def forget_rates(token_id: UUID) -> None:
    with _lock:
        _known.pop(token_id, None)


def _digest(presented: str) -> bytes:
    return hashlib.sha256(presented.encode()).digest()
