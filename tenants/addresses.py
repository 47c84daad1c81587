"""Where a request really comes from, and whether that is in a list of networks."""

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from django.conf import settings

LONGEST = 100  # characters of an address, with zone and port
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(meta: Mapping[str, Any]) -> str:
    """The caller's address behind FLEXGATE_PROXIES proxies; "" where none can be told.

    Each proxy appends the address it was called from to X-Forwarded-For. The caller stands right before what our own proxies
    appended; whatever stands further left was written by the caller and is not believed. A list shorter than that did not pass
    through all proxies, so that the connection's own address is the honest answer.
    """
    peer = str(meta.get("REMOTE_ADDR", ""))
    proxies = settings.FLEXGATE_PROXIES
    forwarded = [part.strip() for part in str(meta.get("HTTP_X_FORWARDED_FOR", "")).split(",") if part.strip()]
    told = forwarded[-proxies] if proxies and len(forwarded) >= proxies else peer
    address = _parse(told)
    return "" if address is None else str(address)


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Whether `address` lies in one of `networks`; False for an address that can't be read."""
    caller = _parse(address)
    return caller is not None and any(caller in ipaddress.ip_network(network) for network in networks)


def covers(outer: Iterable[str], inner: Iterable[str]) -> bool:
    """Whether every network of `inner` lies in one of `outer`. No `outer` = everywhere; no `inner` = everywhere, too."""
    outside, inside = [ipaddress.ip_network(one) for one in outer], [ipaddress.ip_network(one) for one in inner]
    if not outside:
        return True
    return bool(inside) and all(any(_contains(wide, narrow) for wide in outside) for narrow in inside)


def neighbourhood(address: str) -> str:
    """What counts as one caller when failures are counted: an IPv4 address, or the /64 that one IPv6 customer holds."""
    parsed = _parse(address)
    if parsed is None:
        return "unknown"
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))


def _contains(wide: Network, narrow: Network) -> bool:
    if isinstance(wide, ipaddress.IPv4Network) and isinstance(narrow, ipaddress.IPv4Network):
        return narrow.subnet_of(wide)
    if isinstance(wide, ipaddress.IPv6Network) and isinstance(narrow, ipaddress.IPv6Network):
        return narrow.subnet_of(wide)
    return False


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    return _parse_short(text) if len(text) <= LONGEST else None


@lru_cache(maxsize=1024)
def _parse_short(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, also with a port as some proxies write it. An IPv4 client on a dual-stack socket is that IPv4 client."""
    bare = text.partition("]")[0].lstrip("[") if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
