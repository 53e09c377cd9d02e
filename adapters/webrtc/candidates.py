"""Which candidates are followed and which are told (protocol.md 13.10). Pure functions.

A candidate is an address that a stranger asks us to send packets to. Without `allow_local` only addresses
that belong to the whole internet are: nothing of loopback, private networks, link-local, shared (RFC 6598),
documentation or reserved ranges, no multicast, and no such address wrapped into an IPv6 one (mapped, 6to4,
Teredo, NAT64). Names are never looked up; mDNS names (`.local`) are addresses of the server's own network,
so they are followed with `allow_local` alone.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, Literal

import msgspec

Refusal = Literal["malformed", "local", "transport"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_CHARACTERS: Final = 512

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_MDNS: Final = re.compile(r"[A-Za-z0-9-]{1,63}\.local")
_FOUNDATION: Final = re.compile(r"[A-Za-z0-9+/]{1,32}")
_PREFIX: Final = re.compile(r"^(a=)?candidate:")


class Candidate(msgspec.Struct, frozen=True):
    """What is used of a candidate attribute (RFC 8839 section 5.1); its related address is not.

    Attributes:
      host: an address in its canonical spelling, or an mDNS name.
      kind: host, srflx, prflx or relay.
    """

    foundation: str
    component: int
    priority: int
    host: str
    port: int
    kind: str

    def __str__(self) -> str:
        return (
            f"candidate:{self.foundation} {self.component} udp {self.priority} {self.host} {self.port} "
            f"typ {self.kind}" + (" raddr 0.0.0.0 rport 9" if self.kind in ("srflx", "relay") else "")
        )


def judge(text: str, *, allow_local: bool) -> Candidate | Refusal:
    """What becomes of a candidate of the other side, or of ours.

    Args:
      text: with or without `candidate:` or `a=candidate:` before it.
      allow_local: loopback, private and link-local addresses and mDNS names are in order.

    Returns: the candidate; `malformed` where it is none; `transport` where it is none for UDP, or of RTCP
      alone; `local` where it must not be followed.
    """
    if len(text) > MOST_CHARACTERS:
        return "malformed"
    words = _PREFIX.sub("", text.strip()).split()
    if len(words) < 8 or words[6] != "typ" or words[7] not in ("host", "srflx", "prflx", "relay"):
        return "malformed"
    foundation, component, transport, priority, host, port = words[:6]
    numbers = tuple(
        _number(word, most) for word, most in ((component, 256), (priority, 2**32 - 1), (port, 65_535))
    )
    if None in numbers or not _FOUNDATION.fullmatch(foundation):
        return "malformed"
    if transport.lower() != "udp" or component != "1":
        return "transport"
    if _MDNS.fullmatch(host):
        if not allow_local:
            return "local"
    else:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return "malformed"
        if not is_followed(address, allow_local=allow_local):
            return "local"
        host = str(address)
    if int(port) == 0:
        return "malformed"
    return Candidate(foundation, 1, int(priority), host, int(port), words[7])


def is_followed(address: Address, *, allow_local: bool) -> bool:
    """Whether packets may be sent to an address that a stranger names."""
    if address.is_loopback:
        return allow_local
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        if _is_wrapped(address):
            return False  # nobody's host candidate: an address in disguise
    if address.is_multicast or address.is_unspecified or address.is_reserved:
        return False
    if allow_local:
        return True
    return address.is_global and not address.is_link_local


def _is_wrapped(address: ipaddress.IPv6Address) -> bool:
    """Whether an address of IPv4 is in it."""
    return (
        address.ipv4_mapped is not None
        or address.sixtofour is not None
        or address.teredo is not None
        or address in _NAT64
        or (int(address) >> 32 == 0 and int(address) > 1)
    )


def _number(word: str, most: int) -> int | None:
    """A number of plain digits, of no more than `most`."""
    if not word.isascii() or not word.isdecimal() or len(word) > 10:
        return None
    number = int(word)
    return number if number <= most else None
