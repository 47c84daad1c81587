"""Who may use which program is one rule, asked in SQL for one tenant and in Python for all others at once: both must say the same."""

from itertools import product

import pytest

from gateway.models import ApiUser
from gateway.reach import accounts_for, is_used_by_one_tenant
from tenants.context import acting_as
from tenants.models import Tenant
from tests.people import SETUP, People
from tests.worlds import ACCOUNT, PROGRAM, SandboxWorld

PROGRAMS = (None, [], [PROGRAM], ["ELAVMS9999999999"])
ACCOUNTS = (None, [], [ACCOUNT], [1])


@pytest.mark.parametrize("serves", [None, "acme", "globex"])
def test_both_forms_of_the_rule_agree(people: People, world: SandboxWorld, serves: str | None) -> None:
    acme, globex = People.tenant("acme"), People.tenant("globex")
    with acting_as(SETUP):
        ApiUser.objects.update(tenant={None: None, "acme": acme, "globex": globex}[serves])
    told = set()
    for programs, accounts in product(PROGRAMS, ACCOUNTS):
        with acting_as(SETUP):
            Tenant.objects.filter(id=globex.id).update(programs=programs, account_ids=accounts)
        reaches = PROGRAM in {reached.program_serial for reached in accounts_for(People.tenant("globex"))}
        assert is_used_by_one_tenant(PROGRAM, acme) == (not reaches), (programs, accounts)
        told.add(reaches)
    assert told == ({False} if serves == "acme" else {True, False})
