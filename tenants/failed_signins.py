"""Failed sign-ins, counted by where they came from: whoever guesses is slowed down, and nobody else."""

from django.conf import settings

from tenants.actors import AUTHENTICATOR
from tenants.addresses import neighbourhood
from tenants.context import acting_as
from tenants.problems import Problem
from tenants.rate_limits import Rate, has_room, seconds_to_wait


def slow_down_failures(address: str, *, kind: str = "token") -> None:
    """Count one failed sign-in from where `address` belongs. Problem `rate_limited` once there were too many: nobody else is slowed."""
    with acting_as(AUTHENTICATOR):
        room = has_room(failures_from(address, kind=kind))
    if not room:
        wait = wait_after_failures(address, kind=kind)
        detail = f"Too many failed sign-ins from this address. Try again in {wait} s."
        raise Problem("rate_limited", detail, headers={"Retry-After": str(wait)})


def wait_after_failures(address: str, *, kind: str = "token") -> int:
    """Seconds until an address that failed too often may try again; 0 = at once."""
    with acting_as(AUTHENTICATOR):
        return seconds_to_wait(failures_from(address, kind=kind))


def failures_from(address: str, *, kind: str) -> Rate:
    return Rate("address", f"failed {kind}:{neighbourhood(address)}", settings.FLEXGATE_FAILURES_PER_ADDRESS)
