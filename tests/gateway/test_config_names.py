"""An owner's names of configs are its own, once each in an account: the catalogue's too, and of two at once as well."""

from typing import Any

import pytest

from gateway.models import Operation
from gateway.provisioning.configs import create_config, update_config
from gateway.provisioning.manner import Manner
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.problems import Problem
from tests.databases import OwnDatabase
from tests.people import SETUP, People, make_people
from tests.tenants.test_races import together
from tests.worlds import ACCOUNT, ENT_2, ENT_4, PROGRAM, SandboxWorld, make_world

LATER = Manner(wait_seconds=0)


@pytest.fixture
def committed(own_database: OwnDatabase) -> SandboxWorld:
    make_people()
    return make_world()


def ask(tenant: Tenant | None, name: str = "standard") -> Any:
    parameters = [{"id": key, "value": value} for key, value in ENT_2]
    return create_config(
        SETUP, tenant=tenant, program=PROGRAM, name=name, product_type_id=1, parameters=parameters, manner=LATER
    )


@pytest.mark.parametrize("slug", [None, "acme"])
@pytest.mark.parametrize("attempt", range(3))
def test_of_two_creations_at_once_one_is_refused(committed: SandboxWorld, slug: str | None, attempt: int) -> None:
    owner = People.tenant(slug) if slug else None
    made = together(*[lambda: ask(owner)] * 3)
    assert sorted(one.code for one in made if isinstance(one, Problem)) == ["state_conflict", "state_conflict"]
    with acting_as(SETUP):
        assert Operation.objects.filter(kind="create_config").count() == 1


def test_of_two_renamings_at_once_one_is_refused(committed: SandboxWorld) -> None:
    other = committed.add_config("another", ENT_4)
    committed.sync()
    made = together(
        *(
            lambda config=config: update_config(SETUP, config, name="same", manner=LATER)
            for config in (committed.config_id, other)
        )
    )
    assert [one.code for one in made if isinstance(one, Problem)] == ["state_conflict"]


def test_the_catalogue_and_each_tenant_name_theirs_by_themselves(people: People, world: SandboxWorld) -> None:
    body = {"program": PROGRAM, "name": "standard", "product_type_id": 1, "account_id": ACCOUNT}
    body["parameters"] = [{"id": key, "value": value} for key, value in ENT_2]
    codes = [people.operator.post("configs", body | {"tenant": slug}).status_code for slug in (None, "acme", "globex")]
    assert codes == [201, 201, 201]
    again = people.operator.post("configs", body | {"tenant": None})
    assert (again.status_code, again.json()["code"]) == (409, "state_conflict")
