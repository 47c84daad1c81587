import pytest

from tests.gateway.diagnosis.scenes import Patient, make_patient
from tests.people import People
from tests.worlds import SandboxWorld


@pytest.fixture
def patient(people: People, world: SandboxWorld) -> Patient:
    """An entitlement of acme's with which nothing is the matter."""
    return make_patient(people, world)
