"""What every media process must do, be it one of aiortc or simulated. Test files subclass this."""

from __future__ import annotations

import abc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import pairwise

import trio

from actors.webrtc.ports import PeerFault, PeerRequest, PeerState
from tests.adapters.webrtc.rig import Pair, ServerSide, World, connected

FRAME = 640
NO_ANSWER = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"


async def speak(pair: Pair, frames: int) -> None:
    """Twenty milliseconds of silence at a time, in real time, until so many have arrived."""
    before = len(pair.heard.pcm)
    with trio.fail_after(10):
        while len(pair.heard.pcm) < before + frames * FRAME:
            pair.phone.speak(bytes(FRAME))
            await trio.sleep(0.02)


class MediaConformance(abc.ABC):
    @abc.abstractmethod
    def world(self, *, most_peers: int = 200) -> AbstractAsyncContextManager[World]:
        """A media process that runs."""

    async def test_a_phone_that_offers_is_connected_and_heard_without_a_gap(self) -> None:
        async with self.world() as world, connected(world) as pair:
            await speak(pair, 10)

            assert [PeerState.CONNECTING, PeerState.CONNECTED] == pair.heard.states
            assert 0 == pair.heard.pieces[0].position
            for one, following in pairwise(pair.heard.pieces):
                assert not len(one.pcm) % FRAME
                assert following.position == one.position + len(one.pcm) // 2
            assert 0 == sum(piece.concealed for piece in pair.heard.pieces)
            await pair.heard.until(lambda: pair.heard.figures)

    async def test_an_offer_of_the_server_connects_too(self) -> None:
        async with self.world() as world:
            pair = Pair(world)
            pair.server.make_offer()
            await pair.until_connected()
            await speak(pair, 5)

            assert [] == pair.heard.failures
            assert 1 == len(pair.heard.offers)

    async def test_where_both_offer_the_phones_offer_is_answered_and_a_late_answer_ignored(self) -> None:
        async with self.world() as world:
            pair = Pair(world)
            pair.heard.on_offer = lambda sdp: None
            pair.server.make_offer()
            await pair.heard.until(lambda: pair.heard.offers)
            pair.phone.make_offer()
            await pair.until_connected()
            other = Pair(world)
            other.said.on_answer = pair.server.take_answer
            other.phone.take_offer(pair.heard.offers[0])
            await speak(pair, 5)

            assert [] == pair.heard.failures

    async def test_a_phone_may_begin_its_ice_anew_and_the_position_goes_on(self) -> None:
        async with self.world() as world, connected(world) as pair:
            await speak(pair, 5)
            answers = len(pair.heard.answers)
            pair.phone.make_offer(restart_ice=True)
            await pair.heard.until(lambda: len(pair.heard.answers) > answers)
            await speak(pair, 25)

            assert [] == pair.heard.failures
            assert PeerState.CONNECTED == pair.heard.states[-1]
            positions = [piece.position for piece in pair.heard.pieces]
            assert sorted(set(positions)) == positions

    async def test_an_offer_that_is_none_ends_its_peer_and_no_other(self) -> None:
        async with self.world() as world, connected(world) as pair:
            bad = ServerSide()
            peer = world.media.open(PeerRequest(peer_id="bad", allow_local=True), bad)
            peer.take_offer(NO_ANSWER)
            await bad.until(lambda: bad.failures)
            peer.take_offer(NO_ANSWER)
            await speak(pair, 5)

            assert [PeerFault.OFFER] == bad.faults

    async def test_a_candidate_that_is_none_is_told_and_the_peer_goes_on(self) -> None:
        async with self.world() as world:
            pair = Pair(world)
            pair.server.take_candidate("candidate:nonsense", 0, "0")
            pair.server.take_candidate("", 0, "0")
            await pair.heard.until(lambda: pair.heard.failures)
            pair.phone.make_offer()
            await pair.until_connected()

            assert [PeerFault.CANDIDATE] == pair.heard.faults

    async def test_the_end_of_the_process_is_told_to_every_peer_and_another_works(self) -> None:
        async with self.world() as world, connected(world) as one, connected(world) as two:
            world.kill()
            for pair in (one, two):
                await pair.heard.until(lambda pair=pair: pair.heard.failures)  # type: ignore[misc]
                assert [PeerFault.PROCESS] == pair.heard.faults

            await until_open(world)
            async with connected(world) as pair:
                await speak(pair, 5)

    async def test_nothing_is_told_after_a_close(self) -> None:
        async with self.world() as world, connected(world) as pair, connected(world) as other:
            pair.server.close()
            before = (len(pair.heard.states), len(pair.heard.pieces))
            pair.server.make_offer()
            pair.server.take_candidate("nonsense", 0, "0")
            pair.server.close()
            await speak(other, 10)

            assert before == (len(pair.heard.states), len(pair.heard.pieces))
            assert [] == pair.heard.failures + [(offer, "") for offer in pair.heard.offers]
            await pair.said.until(lambda: pair.said.failures)

    async def test_a_phone_that_hangs_up_is_noticed(self) -> None:
        async with self.world() as world, connected(world) as pair:
            pair.phone.close()
            await pair.heard.until(lambda: pair.heard.failures)

            assert [PeerFault.ICE] == pair.heard.faults
            assert PeerState.CLOSED == pair.heard.states[-1]

    async def test_one_peer_more_than_fit_is_told_so_and_fits_once_another_has_closed(self) -> None:
        async with self.world(most_peers=1) as world:
            first, second, third = ServerSide(), ServerSide(), ServerSide()
            peer = world.media.open(PeerRequest(peer_id="1"), first)
            world.media.open(PeerRequest(peer_id="2"), second)
            assert [] == second.failures  # never within the call
            await second.until(lambda: second.failures)
            peer.close()
            world.media.open(PeerRequest(peer_id="3"), third).make_offer()
            await third.until(lambda: third.offers)

            assert [PeerFault.BUSY] == second.faults


async def until_open(world: World) -> None:
    """A peer that is opened now does not fail at once: the back-off is over."""
    await until(lambda: world.media.is_available)
    with trio.fail_after(10):
        while True:
            probe = ServerSide()
            peer = world.media.open(PeerRequest(peer_id="probe", allow_local=True), probe)
            peer.make_offer()
            await probe.until(lambda probe=probe: probe.failures or probe.offers)  # type: ignore[misc]
            peer.close()
            if probe.offers:
                return
            await trio.sleep(0.05)


async def until(is_so: Callable[[], object]) -> None:
    with trio.fail_after(10):
        while not is_so():  # noqa: ASYNC110 - nothing says so
            await trio.sleep(0.01)
