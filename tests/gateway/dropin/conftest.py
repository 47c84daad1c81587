"""What every test of the drop-in API starts from."""

import pytest

from tests.gateway.dropin.clients import FlexClient
from tests.people import People
from tests.worlds import SandboxWorld


@pytest.fixture
def offered(people: People, world: SandboxWorld) -> int:
    """The catalogue config, offered to acme."""
    assert people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"}).status_code == 201
    return world.config_id


@pytest.fixture
def acme(people: People, offered: int) -> FlexClient:
    return FlexClient(people.acme)


@pytest.fixture
def globex(people: People, offered: int) -> FlexClient:
    return FlexClient(people.globex)
