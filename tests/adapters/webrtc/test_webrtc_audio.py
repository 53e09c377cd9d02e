"""Speech from a phone's peer to the server's, over loopback and over a network that loses packets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import trio

from actors.webrtc.ports import PeerFault, PeerState
from adapters.webrtc import MediaSettings
from protocols import media_process as wire
from tests.adapters.webrtc.conformance import speak
from tests.adapters.webrtc.relay import Relay, without_candidates
from tests.adapters.webrtc.rig import Pair, World, connected
from tests.adapters.webrtc.sound import SPEECH, correlation, delay, loudness_db, samples, unlikeness_db
from tests.adapters.webrtc.test_media_process import real

FRAME_BYTES = 640
SAID = SPEECH[: 75 * FRAME_BYTES]


async def say(pair: Pair, pcm: bytes) -> list[float]:
    """Speak in real time; when each frame was said."""
    began = trio.current_time()
    said_at = []
    for number in range(len(pcm) // FRAME_BYTES):
        await trio.sleep_until(began + (number + 1) * 0.02)
        said_at.append(trio.current_time())
        pair.phone.speak(pcm[number * FRAME_BYTES : (number + 1) * FRAME_BYTES])
    return said_at


@asynccontextmanager
async def over(relay: Relay, world: World) -> AsyncIterator[Pair]:
    """A pair whose packets pass a relay."""
    async with trio.open_nursery() as nursery:
        await nursery.start(relay.run)
        pair = Pair(world)
        pair.said.on_offer = lambda sdp: pair.server.take_offer(without_candidates(sdp))
        pair.heard.on_answer = lambda sdp: pair.phone.take_answer(relay.to_phone(sdp))
        pair.phone.make_offer()
        await pair.until_connected()
        yield pair
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("codec", ["opus", "pcm"])
async def test_speech_arrives_whole_and_at_once(codec: wire.Codec) -> None:
    async with real() as world, connected(world, codec=codec) as pair:
        said_at = await say(pair, SAID)
        await pair.heard.until(lambda: len(pair.heard.pcm) >= len(SAID) - 4 * FRAME_BYTES)

        said, heard = samples(SAID), samples(pair.heard.pcm)
        late = delay(said, heard)
        assert -1 <= late < 800
        assert correlation(said[max(0, -late) :], heard[max(0, late) :]) > 0.8
        assert 1.5 > abs(loudness_db(said) - loudness_db(heard))
        for one, following in pairwise(pair.heard.pieces):
            assert following.position == one.position + len(one.pcm) // 2
        assert 0 == sum(piece.concealed for piece in pair.heard.pieces)
        waits = sorted(heard - said for said, heard in zip(said_at, pair.heard.heard_at, strict=False))
        assert waits[len(waits) // 2] < 0.06  # 2 ms; G.711 waits 40 ms in the phone's encoder
        await pair.heard.until(lambda: pair.heard.figures[-1].packets >= len(pair.heard.pieces))
        figures = pair.heard.figures[-1]
        assert figures.round_trip_s is not None
        assert 0 < figures.round_trip_s < 0.5
        assert 0 == figures.lost
        assert figures.jitter_s < 0.1
        assert (160 if codec == "pcm" else 20) <= figures.bytes_in / figures.packets <= 200


@pytest.mark.parametrize("percent", [5, 10])
async def test_speech_over_a_network_that_loses_packets_has_no_holes(percent: int) -> None:
    relay = Relay(loss=percent / 100, seed=percent)
    async with real() as world, over(relay, world) as pair:
        await say(pair, SAID)
        relay.loss = 0
        await speak(pair, 2)
        await pair.heard.until(lambda: pair.heard.figures and pair.heard.figures[-1].lost >= relay.lost - 1)

        said, heard = samples(SAID), samples(pair.heard.pcm)
        late = delay(said, heard)
        assert relay.lost > 1
        assert pair.heard.figures[-1].recovered > 0
        assert unlikeness_db(said, heard[max(0, late) :]) < 4  # 10 and more where holes stay silent
        for one, following in pairwise(pair.heard.pieces):
            assert following.position == one.position + len(one.pcm) // 2
        concealed = sum(piece.concealed for piece in pair.heard.pieces)
        assert concealed <= (relay.lost - pair.heard.figures[-1].recovered + 1) * 320


async def test_a_phone_that_sends_ten_times_as_much_as_speech_is_cut_off() -> None:
    async with real() as world, connected(world) as pair, connected(world) as other:
        while not pair.heard.failures:
            pair.phone.speak(bytes(FRAME_BYTES * 48))
            await trio.sleep(0.05)
        await speak(other, 2)

        assert [PeerFault.MEDIA] == pair.heard.faults
        assert "packets in a second" in pair.heard.failures[0][1]
        assert [] == other.heard.failures


async def test_a_network_that_goes_silent_is_noticed_and_comes_back() -> None:
    relay = Relay()
    settings = MediaSettings(lost_after_s=0.4, gone_after_s=1.5)
    async with real(settings) as world, over(relay, world) as pair:
        await speak(pair, 5)
        relay.is_dead = True
        await pair.heard.until(lambda: pair.heard.states[-1] is PeerState.DISCONNECTED)
        relay.is_dead = False
        await pair.heard.until(lambda: pair.heard.states[-1] is PeerState.CONNECTED)
        await speak(pair, 5)

        assert [] == pair.heard.failures
        relay.is_dead = True
        await pair.heard.until(lambda: pair.heard.failures)
        assert PeerState.FAILED is pair.heard.states[-1]
