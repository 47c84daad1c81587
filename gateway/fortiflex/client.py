"""The FortiFlex client: every call of every resource behind one name."""

from gateway.fortiflex.calls.configs import ConfigCalls
from gateway.fortiflex.calls.entitlements import EntitlementCalls
from gateway.fortiflex.calls.programs import ProgramCalls
from gateway.fortiflex.calls.tools import ToolCalls


class FortiFlexClient(ProgramCalls, ConfigCalls, EntitlementCalls, ToolCalls):
    """`FortiFlexClient(transport, api_url, session)`, where `api_url` is the v2 base.

    Lists come back whole: FortiFlex has no paging. Writes have no idempotency key: a lost answer must be looked up, never re-sent.
    """
