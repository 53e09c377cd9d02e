"""The twin keeps the contract, and its faults are those of the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from actors.webrtc.ports import PeerFault, PeerRequest, PeerState
from adapters.simulated.webrtc import SimulatedMedia, SimulatedPhone
from tests.adapters.webrtc.conformance import FRAME, MediaConformance
from tests.adapters.webrtc.rig import ServerSide, World, connected


@asynccontextmanager
async def simulated(most_peers: int = 200) -> AsyncIterator[World]:
    media = SimulatedMedia()
    media.most_peers = most_peers
    async with trio.open_nursery() as nursery:
        nursery.start_soon(media.run)
        yield World(media, media.phone, media.die)
        nursery.cancel_scope.cancel()


class TestSimulatedMedia(MediaConformance):
    def world(self, *, most_peers: int = 200) -> AbstractAsyncContextManager[World]:
        return simulated(most_peers)


async def test_a_simulated_phone_in_a_tunnel_is_silent_and_comes_back() -> None:
    async with simulated() as world, connected(world) as pair:
        phone = pair.phone
        assert isinstance(phone, SimulatedPhone)
        phone.vanish()
        await pair.heard.until(lambda: pair.heard.states[-1] is PeerState.DISCONNECTED)
        phone.speak(bytes(FRAME))
        phone.come_back()
        await pair.heard.until(lambda: pair.heard.states[-1] is PeerState.CONNECTED)
        phone.speak(bytes(FRAME), concealed=320)
        await pair.heard.until(lambda: pair.heard.pieces)

        assert [(0, 320)] == [(piece.position, piece.concealed) for piece in pair.heard.pieces]
        phone.vanish()
        phone.stay_away()
        await pair.heard.until(lambda: pair.heard.failures)
        assert [PeerFault.ICE] == pair.heard.faults


async def test_a_simulated_peer_that_is_closed_fails_no_more() -> None:
    async with simulated() as world, connected(world) as pair:
        assert isinstance(world.media, SimulatedMedia)
        (peer,) = world.media.peers.values()
        peer.close()
        peer.fail(PeerFault.ICE, "too late")
        peer.hear(bytes(FRAME), 0)

        assert ([], []) == (pair.heard.failures, pair.heard.pieces)


async def test_a_simulated_server_without_a_process_says_so() -> None:
    async with simulated() as world:
        assert isinstance(world.media, SimulatedMedia)
        world.media.is_available = False
        heard = ServerSide()
        world.media.open(PeerRequest(peer_id="1"), heard)
        await heard.until(lambda: heard.failures)

        assert [PeerFault.PROCESS] == heard.faults
