"""Whose address it is, behind proxies; and which network lies in which."""

from typing import Any

import pytest

from tenants.addresses import client_address, covers, is_within, neighbourhood
from tests.people import ApiClient, People, make_client


@pytest.mark.parametrize(
    ("proxies", "forwarded", "told"),
    [
        (0, "198.51.100.7", "10.0.0.1"),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        (2, "6.6.6.6, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        (2, "6.6.6.6", "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, "nonsense", ""),
        (1, "[2001:db8::1]:443", "2001:db8::1"),
        (1, "198.51.100.7:51234", "198.51.100.7"),
        (1, "::ffff:198.51.100.7", "198.51.100.7"),
    ],
)
def test_only_what_our_own_proxies_wrote_is_believed(settings: Any, proxies: int, forwarded: str, told: str) -> None:
    settings.FLEXGATE_PROXIES = proxies
    assert client_address({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": forwarded}) == told


def test_networks() -> None:
    assert is_within("192.0.2.7", ["192.0.2.0/24"])
    assert not is_within("192.0.3.7", ["192.0.2.0/24", "2001:db8::/32"])
    assert not is_within("", ["0.0.0.0/0"])
    assert covers([], ["0.0.0.0/0"])
    assert covers(["10.0.0.0/8"], ["10.1.0.0/16"])
    assert not covers(["10.0.0.0/8"], [])
    assert not covers(["10.0.0.0/8"], ["::/0"])
    assert neighbourhood("2001:db8::1") == neighbourhood("2001:db8::2") == "2001:db8::/64"


def test_a_token_for_one_network_is_refused_elsewhere_behind_a_proxy_too(people: People, settings: Any) -> None:
    settings.FLEXGATE_PROXIES = 1
    client = make_client(slug="acme", allowed_ips=["198.51.100.0/24"])
    assert client.get("whoami", X_Forwarded_For="198.51.100.7").status_code == 200
    assert client.get("whoami", X_Forwarded_For="198.51.100.7, 203.0.113.9").status_code == 401
    assert ApiClient(client.token).get("whoami").status_code == 401


def test_a_proxy_that_adds_to_the_scheme_is_refused(people: People, settings: Any) -> None:
    settings.FLEXGATE_PROXIES = 1
    assert people.acme.get("whoami", X_Forwarded_Proto="https,http").status_code == 400
