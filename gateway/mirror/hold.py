"""The right to make a pass over one API user's accounts: two at once would only take each other's calls."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from gateway.fortiflex.errors import NotSent
from gateway.models import ApiUser
from tenants.leases import extend_lease, give_back_lease, take_lease

# Longer than one call can take with the wait for its turn; a pass extends it before each. When its holder was killed, it runs out.
PASS_SECONDS = 1200
RENEW_SECONDS = 30


class PassUnderWay(NotSent):
    """Somebody else makes a pass with this API user at this moment."""


class PassLost(NotSent):
    """The pass took too long between two calls and somebody else has begun another: what was not stored yet must not be."""


@dataclass(slots=True)
class Hold:
    """A lease that is kept for as long as its pass goes on."""

    name: str
    holder: UUID
    _renewed: float = field(default_factory=time.monotonic)

    def renew(self) -> None:
        """Call before each call of FortiFlex and before storing what came of it. PassLost if it is somebody else's now."""
        if time.monotonic() - self._renewed < RENEW_SECONDS:
            return
        if not extend_lease(self.name, self.holder, seconds=PASS_SECONDS):
            raise PassLost("Another pass of this API user has begun meanwhile; it goes on from here.")
        self._renewed = time.monotonic()


@contextmanager
def hold_pass(api_user: ApiUser) -> Iterator[Hold]:
    """The one pass of this API user. PassUnderWay if there is another."""
    name = f"sync {api_user.id}"
    holder = take_lease(name, seconds=PASS_SECONDS)
    if holder is None:
        raise PassUnderWay(f"Another pass of {api_user.name} is under way; what it reads is in the mirror soon.")
    try:
        yield Hold(name, holder)
    finally:
        give_back_lease(name, holder)
