"""How the simulated phone comes to WebRTC, and when it is back at its WebSocket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
import trio

from clients.glasses import Glasses, MicrophoneOptions
from clients.glasses.peer import PeerListener, PeerOptions, PhonePeer
from clients.glasses.webrtc import trickled
from protocols.media_process import IceServer
from tests.clients.scripted_cloud import Peer, ScriptedCloud
from tests.clients.test_glasses import MICROPHONE

CHUNK = bytes(3_200)
OFFER = (
    "v=0\r\nm=audio 9 RTP 0\r\n"
    "a=candidate:1 1 udp 1 192.0.2.1 5 typ host\r\na=end-of-candidates\r\n"
    "a=mid:0\r\n"
)
READY = {"type": "webrtc_ready", "sessionId": "s", "iceServers": [{"urls": "stun:192.0.2.9:3478"}]}


class FakePeer:
    """A peer that does what a test says."""

    def __init__(self, options: PeerOptions, listener: PeerListener) -> None:
        self.options = options
        self.listener = listener
        self.done: list[tuple[Any, ...]] = []
        self.spoken = b""
        self.is_closed = False

    def make_offer(self, *, restart_ice: bool = False) -> None:
        self.done.append(("make_offer", restart_ice))
        self.listener.offered(OFFER)

    def take_offer(self, sdp: str) -> None:
        self.done.append(("take_offer", sdp))
        self.listener.answered(OFFER)

    def take_answer(self, sdp: str) -> None:
        self.done.append(("take_answer", sdp))

    def take_candidate(self, candidate: str, sdp_mline_index: int | None, sdp_mid: str | None) -> None:
        self.done.append(("take_candidate", candidate, sdp_mline_index, sdp_mid))

    def speak(self, pcm: bytes) -> None:
        self.spoken += pcm

    def close(self) -> None:
        self.is_closed = True


class Peers:
    def __init__(self) -> None:
        self.opened: list[FakePeer] = []

    def open(self, options: PeerOptions, listener: PeerListener) -> PhonePeer:
        self.opened.append(FakePeer(options, listener))
        return self.opened[-1]

    @property
    def last(self) -> FakePeer:
        return self.opened[-1]


@asynccontextmanager
async def calling(cloud: ScriptedCloud, peers: Peers) -> AsyncIterator[tuple[Glasses, Peer]]:
    """A phone whose microphone is wanted, and that has said what it can."""
    glasses = Glasses(
        "http://cloud",
        "t",
        microphone=MicrophoneOptions(audio="webrtc"),
        connect=cloud.connect,
        open_peer=peers.open,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(glasses.run)
        peer = await cloud.accept()
        await peer.acknowledge_phone()
        await peer.send(MICROPHONE)
        await glasses.wait_for(lambda phone: phone.is_microphone_on)
        yield glasses, peer
        nursery.cancel_scope.cancel()


async def said(peer: Peer, kind: str) -> Any:
    """The next message of this type; pings before it are answered, and audio is thrown away."""
    with trio.fail_after(100):
        while isinstance(message := await peer.receive(), bytes) or kind != message["type"]:
            if not isinstance(message, bytes) and message["type"] == "ping":
                await peer.send({"type": "pong"})
        return message


async def heard(peer: Peer) -> bytes:
    while not isinstance(message := await peer.receive(), bytes):
        pass
    return message


async def connected(glasses: Glasses, peer: Peer, peers: Peers) -> None:
    await peer.send(READY)
    await said(peer, "webrtc_offer")
    await peer.send({"type": "webrtc_answer", "sdp": "an answer", "sessionId": "s"})
    await glasses.wait_for(lambda phone: peers.opened and peers.last.done[-1][0] == "take_answer")
    peers.last.listener.state("connected")
    await said(peer, "webrtc_audio_start")
    await glasses.wait_for(lambda phone: phone.is_on_webrtc)


async def test_a_phone_says_what_it_can_offers_and_sends_its_candidates_one_by_one(
    cloud: ScriptedCloud,
) -> None:
    peers = Peers()
    async with calling(cloud, peers) as (_, peer):
        capability = await said(peer, "webrtc_capability")
        await peer.send(READY)
        offer = await said(peer, "webrtc_offer")
        candidates = [await said(peer, "webrtc_ice_candidate") for _ in range(2)]

        assert (True, "opus") == (capability["supported"], capability["preferredCodec"])
        assert "v=0\r\nm=audio 9 RTP 0\r\na=mid:0\r\n" == offer["sdp"]
        assert ["candidate:1 1 udp 1 192.0.2.1 5 typ host", ""] == [one["candidate"] for one in candidates]
        assert [(0, "0")] * 2 == [(one["sdpMLineIndex"], one["sdpMid"]) for one in candidates]
        assert (IceServer(urls=("stun:192.0.2.9:3478",)),) == peers.last.options.ice_servers


async def test_audio_goes_over_the_websocket_until_the_peers_are_connected(cloud: ScriptedCloud) -> None:
    peers = Peers()
    async with calling(cloud, peers) as (glasses, peer):
        await glasses.play(CHUNK)
        assert CHUNK == await heard(peer)

        await connected(glasses, peer, peers)
        await glasses.play(CHUNK * 3)

        assert CHUNK * 3 == peers.last.spoken
        assert cloud.http_requests == []  # PCM needs no telling


async def test_a_phone_answers_an_offer_of_the_cloud_and_takes_its_candidates(cloud: ScriptedCloud) -> None:
    peers = Peers()
    async with calling(cloud, peers) as (glasses, peer):
        await peer.send({"type": "webrtc_offer", "sdp": "an offer", "sessionId": "s"})
        candidate = {"candidate": "candidate:9", "sdpMLineIndex": 0, "sdpMid": None, "sessionId": "s"}
        await peer.send({"type": "webrtc_ice_candidate"} | candidate)

        await said(peer, "webrtc_answer")
        await glasses.wait_for(lambda phone: len(peers.last.done) == 2)
        assert [("take_offer", "an offer"), ("take_candidate", "candidate:9", 0, None)] == peers.last.done


@pytest.mark.parametrize("how", ["it fails", "the cloud says so", "it is disconnected"])
async def test_a_phone_whose_peer_is_lost_is_back_at_its_websocket_at_once(
    cloud: ScriptedCloud, how: str
) -> None:
    peers = Peers()
    async with calling(cloud, peers) as (glasses, peer):
        await connected(glasses, peer, peers)
        if how == "it fails":
            peers.last.listener.failed("no way")
        elif how == "it is disconnected":
            peers.last.listener.state("disconnected")
        else:
            await peer.send({"type": "webrtc_error", "code": "ICE_FAILED", "message": "gone"})
        await said(peer, "webrtc_audio_stop")
        assert not glasses.is_on_webrtc
        await glasses.play(CHUNK)

        assert CHUNK == await heard(peer)
        assert (how != "it is disconnected") == peers.last.is_closed
        if how == "it is disconnected":
            peers.last.listener.state("connected")
            await said(peer, "webrtc_audio_start")


async def test_a_phone_asks_anew_after_one_two_and_four_seconds(cloud: ScriptedCloud) -> None:
    peers = Peers()
    async with calling(cloud, peers) as (glasses, peer):
        asked_at = []
        for _ in range(4):
            await said(peer, "webrtc_capability")
            asked_at.append(trio.current_time())
            before = len(peers.opened)
            await peer.send(READY)
            await glasses.wait_for(lambda phone, before=before: len(peers.opened) > before)  # type: ignore[misc]
            peers.last.listener.failed("no way")

        assert [1, 2, 4] == pytest.approx([after - before for before, after in pairwise(asked_at)], abs=0.1)
        assert all(one.is_closed for one in peers.opened)


async def test_without_a_word_of_the_cloud_a_phone_asks_anew_after_twenty_seconds(
    cloud: ScriptedCloud,
) -> None:
    async with calling(cloud, Peers()) as (_, peer):
        await said(peer, "webrtc_capability")
        began = trio.current_time()
        await said(peer, "webrtc_capability")

        assert 21 == pytest.approx(trio.current_time() - began, abs=0.1)


async def test_a_cloud_without_webrtc_is_asked_once(cloud: ScriptedCloud) -> None:
    peers = Peers()
    async with calling(cloud, peers) as (glasses, peer):
        await said(peer, "webrtc_capability")
        await peer.send({"type": "webrtc_error", "code": "INIT_FAILED", "message": "no"})
        with trio.move_on_after(60) as patience:
            await said(peer, "webrtc_capability")

        assert patience.cancelled_caught
        assert glasses.webrtc is not None
        assert glasses.webrtc.error is not None


async def test_a_connection_that_ends_takes_its_peer_along(cloud: ScriptedCloud) -> None:
    peers = Peers()
    async with calling(cloud, peers) as (glasses, peer):
        await connected(glasses, peer, peers)
        await peer.close()
        await glasses.wait_for(lambda phone: not phone.is_connected)

        assert peers.last.is_closed
        assert not glasses.is_on_webrtc
        peers.last.listener.failed("nobody hears this")


def test_a_description_is_cut_from_its_candidates() -> None:
    text, candidates = trickled(OFFER)

    assert "v=0\r\nm=audio 9 RTP 0\r\na=mid:0\r\n" == text
    assert ("candidate:1 1 udp 1 192.0.2.1 5 typ host",) == candidates
