"""FortiFlex wants the names of configs unique per account. Among different owners our suffix sees to that, so that none meets another's;
here each owner's own names are kept apart, the catalogue's too.
"""

from gateway.models import Config, Operation
from gateway.operations import JOURNAL, OPEN
from gateway.reach import ReachedAccount
from tenants.context import acting_as
from tenants.models import Lease, Tenant
from tenants.problems import Problem

CATALOGUE = "names of catalogue configs"  # the lease whose row's lock orders those who name a config of nobody's
NAMING = (Operation.Kind.CREATE_CONFIG, Operation.Kind.UPDATE_CONFIG)


def refuse_taken_name(tenant: Tenant | None, place: ReachedAccount, name: str) -> None:
    """Problem `state_conflict` where `tenant` (None = the catalogue) has a config of this name there, or has asked for one.

    In the transaction that plans: of two at once, the second waits and sees what the first planned.
    """
    with acting_as(JOURNAL):
        _lock_names(tenant)
        here = {"tenant": tenant, "account_id": place.account_id}
        taken = Config.objects.filter(**here, program_id=place.program_serial, name=name, vanished_at=None).exists()
        asked = Operation.objects.filter(**here, program_serial=place.program_serial, kind__in=NAMING, state__in=OPEN)
        coming = asked.filter(intent__name=name).exists()
    if taken or coming:
        raise Problem("state_conflict", f"You have a configuration called {name!r} in this account already.")


def _lock_names(tenant: Tenant | None) -> None:
    if tenant is not None:
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        return
    Lease.objects.bulk_create([Lease(name=CATALOGUE)], ignore_conflicts=True)
    Lease.objects.select_for_update().get(name=CATALOGUE)
