"""One world for all tests of this folder, on one worker: to build it takes longer than most of them."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from gateway import upstream
from gateway.sandbox import SandboxTransport
from tests import databases
from tests.gateway.ledger.scenes import noon_of
from tests.isolation.scene import TODAY, Scene, build_scene


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/isolation/" in item.path.as_posix():
            item.add_marker(pytest.mark.xdist_group("isolation"))


@pytest.fixture(scope="package")
def scene(django_db_setup: None, django_db_blocker: Any) -> Iterator[Scene]:
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        stack.enter_context(databases.own_database())
        built = build_scene()
        stack.enter_context(noon_of(TODAY))
        upstream.install_transport(SandboxTransport(built.world.sandbox))
        yield built


@pytest.fixture(autouse=True)
def keep_transport(request: pytest.FixtureRequest) -> None:
    """The suite's own clean-up takes the transport away after every test; this world lasts for all of them."""
    built: Scene = request.getfixturevalue("scene")
    upstream.install_transport(SandboxTransport(built.world.sandbox))
