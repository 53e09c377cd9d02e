"""Where a request comes from: the socket's peer, or what the proxy in front says of it.

`X-Forwarded-For` is a list to which each proxy adds whom it was asked by, so what stands in front of our own
proxies' entries is the caller's invention. Where no proxy is declared nothing of it counts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from ..ports import AppDocument
from .settings import FrontDoorSettings

UNKNOWN: Final = "unknown"
"""An address that is none; it is within no network."""


def address_of(peer: str, forwarded_for: str, *, proxy_hops: int) -> str:
    """The caller's address, without a port.

    Args:
      peer: of the socket: an address, or one with a port.
      forwarded_for: the header; empty for a neighbour who came past the proxy.
      proxy_hops: how many proxies are in front; 0 looks at the peer alone.
    """
    said = [part.strip() for part in forwarded_for.split(",") if part.strip()]
    if not proxy_hops or not said:
        return plain(peer)
    return plain(said[-min(proxy_hops, len(said))])


def plain(text: str) -> str:
    """An address in its usual spelling, without port and brackets; `UNKNOWN` for what is none."""
    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return UNKNOWN
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Whether a plain address is in one of these, as 10.0.0.0/8 or ::1."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(network, strict=False) for network in networks)


def may_come_from(app: AppDocument, address: str | None, settings: FrontDoorSettings) -> bool:
    """Whether the app's key counts there: that of a system app only within `system_app_addresses`.

    Args:
      address: None is this server itself.
    """
    networks = settings.system_app_addresses
    return not app.is_system or not networks or address is None or is_within(address, networks)


def network_problem(text: str) -> str | None:
    """What is wrong with the name of a network; None where nothing is."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "expected addresses or networks, as 127.0.0.1 or 10.0.0.0/8"
    return None
