"""A sandbox whose clock is moved together with the gateway's: days are lived, then pulled."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal

import time_machine

from gateway.fortiflex.days import pacific_moment
from gateway.ledger.pull import PullReport, pull_points
from gateway.ownership import assign_serials, forget_day
from tenants.actors import system
from tenants.context import acting_as
from tenants.models import Tenant
from tests.worlds import SandboxWorld, make_world

SETUP = system("set-up")


@contextmanager
def noon_of(day: date, *, hour: int = 12) -> Iterator[None]:
    """It is `hour` o'clock Pacific on `day`, for the gateway and for a sandbox that follows real time."""
    with time_machine.travel(pacific_moment(day, hour), tick=True):
        forget_day()
        yield
    forget_day()


def world_on(day: date, **settings: object) -> SandboxWorld:
    """A fresh world whose catalogue config is older than `day`; call inside `noon_of(day)`."""
    return make_world(**settings)  # type: ignore[arg-type]


def vm(world: SandboxWorld, *, day: date, config: int | None = None, hour: int = 10) -> str:
    """An active VM that began on `day`."""
    with world.sandbox.at(pacific_moment(day, hour)):
        return world.sandbox.create_vm(config or world.config_id, skipPending=True)[0]


def give(serials: list[str], slug: str | None, from_day: date) -> None:
    with acting_as(SETUP):
        tenant = Tenant.objects.get(slug=slug) if slug else None
        assign_serials(SETUP, serials=serials, tenant=tenant, from_day=from_day)


def pull(world: SandboxWorld, **more: object) -> PullReport:
    world.sync()
    return pull_points(world.api_user, **more)  # type: ignore[arg-type]


def truth(world: SandboxWorld, first: date, last: date) -> Decimal:
    """What the sandbox itself says was consumed."""
    days = (last - first).days + 1
    return sum((sum(world.sandbox.points_on(first + timedelta(days=n)).values()) for n in range(days)), Decimal(0))
