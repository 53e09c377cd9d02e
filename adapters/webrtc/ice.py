"""aioice with our rules: where it looks for candidates of its own, and whose checks it hears.

aioice leaves 127.0.0.1 out of its candidates, and asks nobody whether an address may be answered. The class
here is put in the place of its own, in the media process alone.
"""

from __future__ import annotations

import ipaddress
from contextvars import ContextVar
from typing import Final

import aioice
import aiortc.rtcicetransport
from aioice import stun
from aioice.candidate import Candidate
from aioice.ice import StunProtocol

from .candidates import is_followed

allow_local: ContextVar[bool] = ContextVar("allow_local", default=False)
"""What a connection that is made now is allowed; aiortc makes them inside calls that pass nothing on."""

GATHER_S: Final = 2
"""How long a STUN or TURN server may take; 5 s in aioice, which is what an answer would wait for."""


class Connection(aioice.Connection):
    """A connection that speaks to nobody on our own network, unless it is allowed."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]  # whatever aiortc passes
        self._allow_local = allow_local.get()

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = GATHER_S,  # noqa: ASYNC109 - aioice's name
    ) -> list[Candidate]:
        """Our own candidates; with loopback where that is allowed."""
        if self._allow_local and addresses is not None and "127.0.0.1" not in addresses:
            addresses = [*addresses, "127.0.0.1"]
        return await super().get_component_candidates(component, addresses, timeout)

    def _add_remote_candidate(self, remote_candidate: Candidate, network_host: str) -> None:
        """A candidate is to be followed; here also those of mDNS have their address."""
        if self._may_meet(network_host):
            super()._add_remote_candidate(remote_candidate, network_host)

    def request_received(self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol) -> None:
        """A check came from an address, which is answered and becomes a candidate."""
        if self._may_meet(addr[0]):
            super().request_received(message, addr, protocol)

    def _may_meet(self, host: str) -> bool:
        try:
            return is_followed(ipaddress.ip_address(host), allow_local=self._allow_local)
        except ValueError:  # an address with a scope
            return False


def install() -> None:
    """Let aiortc make connections of our class."""
    aiortc.rtcicetransport.Connection = Connection  # type: ignore[attr-defined]
