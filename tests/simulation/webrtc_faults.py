"""What goes wrong in a run with WebRTC beside all that goes wrong in any, and what must hold of its peers."""

from __future__ import annotations

from typing import Final

import trio

from actors.webrtc.ports import PeerFault, PeerState
from protocols import from_phone
from tests.actors.media import ScriptedPeer
from tests.simulation.campaign import Campaign
from tests.simulation.faults import Faults
from tests.simulation.webrtc import speak


class WebrtcFaults(Faults):
    """The faults of a run with WebRTC: those of any run, and those of peers."""

    def _peer(self) -> ScriptedPeer | None:
        living = self.campaign.media.living()
        return self.chance.choice(living) if living else None

    def _do_peer_fails(self) -> None:
        if (peer := self._peer()) is not None:
            peer.fail(self.chance.choice(list(PeerFault)))

    def _do_peer_flaps(self) -> None:
        if (peer := self._peer()) is not None:
            self._nursery.start_soon(self._flap, peer)

    def _do_peer_stutters(self) -> None:
        self._nursery.start_soon(self._stutter)

    def _do_media_dies(self) -> None:
        self._nursery.start_soon(self._die)

    def _do_phone_is_hostile(self) -> None:
        self._nursery.start_soon(self._be_hostile)

    async def _flap(self, peer: ScriptedPeer) -> None:
        for _ in range(self.chance.randrange(1, 5)):
            for state in (PeerState.DISCONNECTED, PeerState.CONNECTED):
                if not peer.is_closed:
                    peer.listener.state(state)
                await trio.sleep(self.chance.choice((0.0, 0.05, 1.0, 6.0)))

    async def _stutter(self) -> None:
        for _ in range(4):
            await speak(self.campaign.media.living(), 0.4)
            await trio.sleep(self.chance.uniform(0.05, 0.4))

    async def _die(self) -> None:
        """The process is gone for a while, and with it every peer."""
        media = self.campaign.media
        media.is_available = False
        for peer in media.living():
            peer.fail(PeerFault.PROCESS, "it ended with -9")
        await trio.sleep(self.chance.uniform(0.5, 5.0))
        media.is_available = True

    async def _be_hostile(self) -> None:
        glasses = self.chance.choice(self.campaign.wearers).glasses
        for _ in range(self.chance.randrange(1, 30)):
            await glasses.send(from_phone.WebrtcOffer(sdp=self.chance.choice(("hostile", "", "o=- 1 1 x"))))
            await glasses.send(
                from_phone.WebrtcIceCandidate(candidate="nonsense", sdp_mline_index=-7, sdp_mid="x" * 99)
            )


WEBRTC_KINDS: Final = tuple(
    sorted(name.removeprefix("_do_") for name in vars(WebrtcFaults) if name.startswith("_do_"))
)


def peers_gone_wrong(campaign: Campaign) -> str | None:
    """What is wrong with the peers there are: one that nobody has, or two of one wearer."""
    server = campaign.server
    held = 0
    for wearer in campaign.wearers:
        actor = server.system.find(f"/glasshouse/users/{wearer.user}/peer")
        state = None if actor is None else server.system.state_of(actor)
        held += state is not None and state.negotiation.peer != 0
    living = len(campaign.media.living())
    return None if held == living else f"{living} peers live, {held} are known to their wearers' actors"
