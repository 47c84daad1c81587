"""From an ApiUser row to a ready client behind its gate. The only place that knows httpx settings."""

import threading
from http.cookiejar import DefaultCookiePolicy
from uuid import UUID

import httpx
from django.conf import settings

from gateway.access_tokens import AccessTokens
from gateway.fortiflex.client import FortiFlexClient
from gateway.gate import Asker, GatedSession, Standing, Turn
from gateway.models import ApiUser

INTERACTIVE_WAIT = 15.0  # seconds that a person's request waits for its turn, inside the 20 s that it may take in all
BACKGROUND_WAIT = 600.0  # background work waits out a minute's window; a full hour's is for the next pass

_lock = threading.Lock()
_http: httpx.Client | None = None
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
    http = _shared_http()
    wait = wait_seconds if wait_seconds is not None else INTERACTIVE_WAIT if interactive else BACKGROUND_WAIT
    if standing is None:
        standing = Standing.PEOPLE if interactive else Standing.BACKGROUND
    asker = Asker(standing, tenant_id)
    longest = settings.FLEXGATE_CALL_SECONDS
    seconds = longest if call_seconds is None else min(call_seconds, longest)
    session = GatedSession(api_user, AccessTokens(http), asker, wait_seconds=wait, call_seconds=seconds, turn=turn)
    return FortiFlexClient(http, api_user.api_url, session)


def install_transport(transport: httpx.BaseTransport | None) -> None:
    """Put another transport under every client from now on (tests: the sandbox); None = the real network again."""
    global _http, _transport
    with _lock:
        _transport, _http = transport, None


def _shared_http() -> httpx.Client:
    """One client per process: building one costs 30 ms for its TLS context alone."""
    global _http
    with _lock:
        if _http is None:
            _http = httpx.Client(
                transport=_transport,
                trust_env=False,  # a proxy variable of the host must not see credentials
                follow_redirects=False,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
                headers={"User-Agent": "flexgate"},
            )
            # Several API users share this client: no cookie of one may travel with another.
            _http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return _http


def shared_http() -> httpx.Client:
    """For the one caller that logs in without an ApiUser row yet: proving credentials."""
    return _shared_http()
