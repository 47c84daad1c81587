"""What a body may name: programs, accounts, configs. What is not the caller's answers as what never was, in the same words."""

from collections.abc import Collection
from dataclasses import dataclass

from gateway.dropin.body import Body
from gateway.dropin.envelope import refuse
from gateway.models import Config, Entitlement
from gateway.reach import accounts_for
from tenants.actors import Actor
from tenants.models import Tenant
from tenants.problems import Problem

Place = tuple[str, int]  # program serial, account
NO_PROGRAM = "Program serial number is invalid."
NO_ACCOUNT = "Account is invalid."
NO_CONFIG = "Configuration not found."
NO_ENTITLEMENT = "Entitlement not found."
EITHER = "Either configId, or accountId and programSerialNumber, is required."


@dataclass(frozen=True, slots=True)
class Asked:
    """One call by a tenant's token: who, for whom, with what. `name` is the call's path, such as `configs/list`."""

    actor: Actor
    tenant: Tenant
    name: str
    body: Body


def usable_places(tenant: Tenant) -> set[Place]:
    """The (program, account) pairs that the tenant may use."""
    return {(reached.program_serial, reached.account_id) for reached in accounts_for(tenant)}


def known_places(asked: Asked) -> set[Place]:
    """Those, and where its entitlements stand and the configs lie that it sees. Inside `acting_as(asked.actor)`."""
    own = Entitlement.objects.visible_to(asked.actor).order_by().values_list("program_id", "account_id").distinct()
    seen = Config.objects.visible_to(asked.actor).filter(vanished_at__isnull=True)
    return usable_places(asked.tenant) | set(own) | set(seen.values_list("program_id", "account_id").distinct())


def check_place(places: Collection[Place], *, program: str, account: int | None) -> None:
    if program not in {serial for serial, _ in places}:
        raise refuse(NO_PROGRAM)
    if account is not None and (program, account) not in places:
        raise refuse(NO_ACCOUNT)


def find_config(actor: Actor, config_id: int) -> Config:
    """Inside `acting_as(actor)`."""
    row = Config.objects.visible_to(actor).filter(id=config_id, vanished_at__isnull=True).first()
    if row is None:
        raise refuse(NO_CONFIG)
    return row


def find_entitlement(actor: Actor, serial: str) -> Entitlement:
    """Inside `acting_as(actor)`."""
    row = Entitlement.objects.visible_to(actor).filter(serial_number=serial, vanished_at__isnull=True).first()
    if row is None:
        raise refuse(NO_ENTITLEMENT)
    return row


def refuse_if_narrowed(actor: Actor) -> None:
    """For calls that name neither a serial nor a config: what a narrowed token would see of them can't be told."""
    if actor.reach is not None:
        raise Problem("token_narrowed", "This token is narrowed to some entitlements or configs.")
