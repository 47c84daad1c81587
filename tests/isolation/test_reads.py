"""No read waits for FortiFlex: with a network that fails on any call, every GET route answers as ever."""

import httpx
import pytest

from gateway import upstream
from tests.isolation.rules import RULES, WHO, Rule
from tests.isolation.scene import Scene
from tests.isolation.test_matrix import fill


class NoNetwork(httpx.BaseTransport):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(str(request.url))
        raise httpx.ConnectError("There is no network.", request=request)


@pytest.mark.parametrize("line", [line for line in RULES if line.method == "GET"], ids=str)
def test_a_read_never_calls_fortiflex(scene: Scene, line: Rule) -> None:
    network = NoNetwork()
    for who, expected in zip(WHO, line.answers, strict=True):
        with scene.undone():
            upstream.install_transport(network)
            answer = scene.who[who].send("GET", fill(line.path, scene.ids), None)
        assert answer.status_code == int(expected[:3]), f"{who}: {answer.content!r}"
    assert network.calls == []


def test_the_network_would_have_been_noticed(scene: Scene) -> None:
    network = NoNetwork()
    with scene.undone():
        upstream.install_transport(network)
        scene.who["owner"].send("POST", f"/api/v1/entitlements/{scene.ids['serial']}/stop", {})
    assert network.calls
