"""From an ApiUser row to a ready client behind its gate."""

import threading
from uuid import UUID

import httpx
from django.conf import settings

from gateway.access_tokens import AccessTokens
from gateway.fortiflex.client import FortiFlexClient
from gateway.fortiflex.connecting import FreshConnections
from gateway.gate import Asker, GatedSession, Standing, Turn
from gateway.models import ApiUser

INTERACTIVE_WAIT = 15.0  # seconds that a person's request waits for its turn, inside the 20 s that it may take in all
BACKGROUND_WAIT = 600.0  # background work waits out a minute's window; a full hour's is for the next pass

_lock = threading.Lock()
_transport: httpx.BaseTransport | None = None


def client_for(
    api_user: ApiUser,
    *,
    interactive: bool = False,
    standing: Standing | None = None,
    tenant_id: UUID | None = None,
    wait_seconds: float | None = None,
    call_seconds: float | None = None,
    turn: Turn | None = None,
) -> FortiFlexClient:
    """A client for this API user. `interactive` = somebody waits for the answer; `standing` says it more exactly.

    `tenant_id` = for whom; `turn` = the lane is held already, and the one call of this client goes through it.
    """
    transport = shared_transport()
    wait = wait_seconds if wait_seconds is not None else INTERACTIVE_WAIT if interactive else BACKGROUND_WAIT
    if standing is None:
        standing = Standing.PEOPLE if interactive else Standing.BACKGROUND
    asker = Asker(standing, tenant_id)
    longest = settings.FLEXGATE_CALL_SECONDS
    seconds = longest if call_seconds is None else min(call_seconds, longest)
    session = GatedSession(api_user, AccessTokens(transport), asker, wait_seconds=wait, call_seconds=seconds, turn=turn)
    return FortiFlexClient(transport, api_user.api_url, session)


def install_transport(transport: httpx.BaseTransport | None) -> None:
    """Put another transport under every client from now on (tests: the sandbox); None = the real network again."""
    global _transport
    with _lock:
        _transport = transport


def shared_transport() -> httpx.BaseTransport:
    """One per process."""
    global _transport
    with _lock:
        if _transport is None:
            _transport = FreshConnections()
        return _transport
