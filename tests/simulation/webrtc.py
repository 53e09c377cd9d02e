"""WebRTC in a simulated world: a phone that negotiates as the one generation that has it.

The media process is scripted (`tests.actors.media`), one for each process of the server.
"""

from __future__ import annotations

from typing import Final

import trio

from actors.webrtc.ports import PeerStats
from clients.glasses import Glasses, Received
from protocols import from_phone, to_phone
from tests.actors.media import ScriptedPeer

FRAME: Final = bytes(640)
WAY: Final = "candidate:1 1 udp 2130706431 192.0.2.7 40000 typ host"


class Negotiator:
    """What a phone that has WebRTC does beside all else: it says so after every ack, and answers."""

    def __init__(self, glasses: Glasses) -> None:
        self.glasses = glasses
        self.offers = 0
        self.last: Received | None = None

    async def run(self) -> None:
        """Until cancelled."""
        await self.announce()
        while True:
            for one in await self.glasses.wait_for(lambda _: self._news(), timeout_s=1e9):
                self.last = one
                await self._answer(one)

    async def announce(self) -> None:
        await self.glasses.send(from_phone.WebrtcCapability(supported=True, preferred_codec="opus"))

    def _news(self) -> list[Received]:
        news: list[Received] = []
        for one in reversed(self.glasses.received):
            if one is self.last:
                break
            news.append(one)
        return news[::-1]

    async def _answer(self, one: Received) -> None:
        send, message = self.glasses.send, one.message
        match message:
            case to_phone.ConnectionAck():
                await self.announce()
            case to_phone.WebrtcReady():
                self.offers += 1
                await send(from_phone.WebrtcOffer(sdp=f"v=0\r\no=- {self.offers} 1 IN IP4 0.0.0.0\r\n"))
                await send(from_phone.WebrtcIceCandidate(candidate=WAY, sdp_mline_index=0, sdp_mid="0"))
            case to_phone.WebrtcOffer():
                await send(from_phone.WebrtcAnswer(sdp="theirs"))
            case to_phone.WebrtcAnswer():
                await send(from_phone.WebrtcAudioStart())
            case _:
                pass


async def speak(peers: list[ScriptedPeer], seconds: float) -> None:
    """Over all of these peers, with a report of how it went."""
    for number in range(round(seconds * 50)):
        for peer in peers:
            if not peer.is_closed:
                peer.speak(FRAME)
                if number == 25:
                    peer.listener.stats(PeerStats(round_trip_s=0.05, packets=number))
        await trio.sleep(0.02)
