"""The microphone over WebRTC, from a phone's peer to an app, through everything that can end it on the way.

What the app heard is compared with what was said. A fault may leave out what was on its way when it struck,
for as long as it takes to be noticed; nothing is ever heard twice, and the wearer need do nothing.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import trio

from clients.glasses.peer import PeerListener, PeerOptions, PeerProcess, PhonePeer
from clients.glasses.phone import Received
from protocols import from_phone, to_phone
from tests.adapters.webrtc.offers import AUDIO
from tests.adapters.webrtc.relay import Relay, without_candidates
from tests.system.server import Server, descendants, eventually
from tests.system.speaking import (
    FEW_MS,
    NOTICED_S,
    SETTINGS,
    TOLD_S,
    HearingApp,
    compare,
    heard_whole,
    listening,
    nothing_but_a_gap,
    peer_of,
    peer_process,
    speaking,
)

ADA, BOB = "ada@example.org", "bob@example.org"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.start(tmp_path_factory.mktemp("client-offers"), *SETTINGS) as server:
        yield server


async def test_what_is_said_over_webrtc_is_heard_whole(server: Server) -> None:
    app = HearingApp("org.example.whole")
    async with listening(server, app), peer_process() as peers, speaking(server, app, ADA, peers.open) as ada:
        await ada.says(3.5)
        way = await peer_of(server, ADA)

    heard_whole(compare(ada.said, app.heard[ADA]))
    assert way["packets"] > 50, "it came over WebRTC; that is counted once a second"


async def test_a_server_that_makes_the_offer_hears_the_same(tmp_path: Path) -> None:
    app = HearingApp("org.example.server-offers")
    with Server.start(tmp_path, *SETTINGS, "webrtc.offerer=server", "speech_provider=none") as server:
        async with (
            listening(server, app),
            peer_process() as peers,
            speaking(server, app, ADA, peers.open) as ada,
        ):
            await ada.says(2)
            offers = [
                one.message for one in ada.phone.received if isinstance(one.message, to_phone.WebrtcOffer)
            ]

    heard_whole(compare(ada.said, app.heard[ADA]))
    assert offers


async def test_a_phone_whose_peer_dies_is_heard_over_its_websocket_and_has_another(server: Server) -> None:
    app = HearingApp("org.example.peer-died")
    async with listening(server, app), peer_process() as peers, speaking(server, app, ADA, peers.open) as ada:
        await ada.says(1.5)
        assert peers.pid is not None
        os.kill(peers.pid, signal.SIGKILL)
        await ada.until_off_webrtc()
        await ada.says(0.5)
        await ada.until_on_webrtc()
        await ada.says(1)

    nothing_but_a_gap(compare(ada.said, app.heard[ADA]), TOLD_S)


async def test_a_media_process_that_dies_costs_what_was_on_its_way(server: Server) -> None:
    app = HearingApp("org.example.media-died")
    async with listening(server, app), peer_process() as peers, speaking(server, app, ADA, peers.open) as ada:
        await ada.says(1.5)
        killed = media_process(server)
        os.kill(killed, signal.SIGKILL)
        await ada.until_off_webrtc()
        await ada.says(0.5)
        await ada.until_on_webrtc()
        await ada.says(1)
        assert killed != media_process(server)

    nothing_but_a_gap(compare(ada.said, app.heard[ADA]), TOLD_S)


async def test_a_phone_that_sends_both_ways_is_heard_whole_and_once_when_one_way_dies(server: Server) -> None:
    app = HearingApp("org.example.both-ways")
    async with (
        listening(server, app),
        peer_process() as peers,
        speaking(server, app, ADA, peers.open, both_ways=True) as ada,
    ):
        await server.log_line("audio_source", ADA, "source=webrtc")
        await ada.says(2)
        os.kill(media_process(server), signal.SIGKILL)
        await ada.until_off_webrtc()
        await ada.until_on_webrtc()
        await ada.says(2)

    nothing_but_a_gap(compare(ada.said, app.heard[ADA]), 2 * FEW_MS)


async def test_a_media_process_that_stands_still_holds_up_nobody(server: Server) -> None:
    app = HearingApp("org.example.stands-still")
    async with (
        listening(server, app),
        peer_process() as peers,
        speaking(server, app, ADA, peers.open, both_ways=True) as ada,
        speaking(server, app, BOB, None) as bob,
    ):
        await ada.says(1.5)
        stopped_at = time.monotonic()
        os.kill(media_process(server), signal.SIGSTOP)
        try:
            await bob.says(2)
        finally:
            os.kill(media_process(server), signal.SIGCONT)
        await ada.says(1)

    for one in (ada, bob):
        heard_whole(compare(one.said, app.heard[one.user]))
        assert app.longest_wait_s(one.user, stopped_at) < 1.0, one.user


async def test_ice_begun_anew_is_the_same_peer_and_costs_nothing(server: Server) -> None:
    app = HearingApp("org.example.ice-anew")
    async with listening(server, app), peer_process() as peers, speaking(server, app, ADA, peers.open) as ada:
        await ada.says(1.5)
        before, answers = await peer_of(server, ADA), _answers(ada.phone.received)
        assert ada.phone.webrtc is not None
        ada.phone.webrtc.restart_ice()
        await eventually(lambda: _answers(ada.phone.received) > answers)
        await ada.says(2)
        after = await peer_of(server, ADA)

    nothing_but_a_gap(compare(ada.said, app.heard[ADA]), 0.1)
    assert before["peers"] == after["peers"]
    assert "connected" == after["peer"]


async def test_a_network_that_goes_silent_is_left_for_the_websocket_until_it_is_back(server: Server) -> None:
    app = HearingApp("org.example.cut")
    async with (
        listening(server, app),
        peer_process() as peers,
        relayed(peers) as network,
        speaking(server, app, ADA, network.open) as ada,
    ):
        await ada.says(1.5)
        network.relay.is_dead = True
        await ada.until_off_webrtc()
        await ada.says(1)
        network.relay.is_dead = False
        await ada.until_on_webrtc()
        await ada.says(1)
        assert ada.phone.webrtc is not None
        attempts = ada.phone.webrtc.attempts

    nothing_but_a_gap(compare(ada.said, app.heard[ADA]), NOTICED_S)
    assert 1 == attempts, "it is the same peer"


async def test_a_killed_server_comes_back_with_the_session_and_webrtc(server: Server) -> None:
    app = HearingApp("org.example.server-died")
    async with listening(server, app), peer_process() as peers, speaking(server, app, ADA, peers.open) as ada:
        await ada.says(1.5)
        await server.has_kept(ADA, app.package_name)
        os.kill(server.child, signal.SIGKILL)
        await ada.until_off_webrtc()
        await ada.until_on_webrtc()
        await ada.says(1.5)
        way = await peer_of(server, ADA)

    found = compare(ada.said, app.heard[ADA])
    assert found.repeated_s < FEW_MS, str(found)
    assert found.places[-1][0] > ada.said_s - 1.0, str(found)
    assert 1 == len(app.started), "the app's session is the one it had"
    assert "connected" == way["peer"]
    assert way["packets"]


async def test_hostile_signalling_changes_nothing_for_captions_or_the_neighbour(server: Server) -> None:
    app = HearingApp("org.example.hostile", captions_of=ADA)
    async with (
        listening(server, app),
        peer_process() as peers,
        speaking(server, app, BOB, peers.open) as bob,
        speaking(server, app, ADA, peers.open) as ada,
    ):
        await ada.says(1.5)
        for message in HOSTILE:
            await ada.phone.send(message)
        await ada.until_off_webrtc()
        await ada.until_on_webrtc()
        await eventually(lambda: len(LATER.intersection(" ".join(app.captions).split())) > 3)

    nothing_but_a_gap(compare(ada.said, app.heard[ADA]), TOLD_S)
    heard_whole(compare(bob.said, app.heard[BOB]))


def _candidate(text: str) -> from_phone.WebrtcIceCandidate:
    return from_phone.WebrtcIceCandidate(candidate=text, sdp_mline_index=0, sdp_mid="0")


HOSTILE: Final[tuple[from_phone.PhoneMessage, ...]] = (
    _candidate("candidate:1 1 udp 1 255.255.255.255 9 typ host"),
    _candidate("candidate:" + "9" * 4_000),
    _candidate("candidate:1 1 udp 1 ../../etc/passwd 1 typ host"),
    _candidate("\x00\r\na=candidate:1 1 udp 1 10.0.0.1 5000 typ host"),
    from_phone.WebrtcAnswer(sdp=AUDIO),
    from_phone.WebrtcAnswer(sdp="v=0"),
    from_phone.WebrtcOffer(sdp=AUDIO, session_id="bob@example.org"),
    from_phone.WebrtcOffer(sdp=AUDIO + "a=x\r\n" * 20_000),
    from_phone.WebrtcOffer(sdp="m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 300),
    *(_candidate(f"candidate:{number} 1 udp 1 127.0.0.1 {number + 1} typ host") for number in range(60)),
)
"""From a phone that has lost its mind. Offers are wishes for another peer, so these end the one it has."""


LATER: Final = frozenset(["consider", "how", "much", "there", "might", "prudently", "power", "do", "them"])
"""Words that are said after that: who reads some of them has not lost the recogniser."""


# A network that can be cut


class Network:
    """Lets phones' peers find the server through a relay alone."""

    def __init__(self, peers: PeerProcess) -> None:
        self.relay = Relay()
        self._peers = peers

    def open(self, options: PeerOptions, listener: PeerListener) -> PhonePeer:
        return Relayed(self._peers.open(options, Hidden(listener)), self.relay)


class Relayed:
    """A phone's peer that is told of no address but the relay's."""

    def __init__(self, peer: PhonePeer, relay: Relay) -> None:
        self.make_offer, self.take_offer = peer.make_offer, peer.take_offer
        self.take_candidate, self.speak, self.close = peer.take_candidate, peer.speak, peer.close
        self._peer = peer
        self._relay = relay

    def take_answer(self, sdp: str) -> None:
        self._peer.take_answer(self._relay.to_phone(sdp))


class Hidden:
    """A listener that tells nobody of the peer's addresses."""

    def __init__(self, listener: PeerListener) -> None:
        self.answered, self.state, self.failed = listener.answered, listener.state, listener.failed
        self._listener = listener

    def offered(self, sdp: str) -> None:
        self._listener.offered(without_candidates(sdp))


@asynccontextmanager
async def relayed(peers: PeerProcess) -> AsyncIterator[Network]:
    network = Network(peers)
    async with trio.open_nursery() as nursery:
        await nursery.start(network.relay.run)
        yield network
        nursery.cancel_scope.cancel()


# What is looked at


def _answers(received: Iterable[Received]) -> int:
    return sum(isinstance(one.message, to_phone.WebrtcAnswer) for one in received)


def media_process(server: Server) -> int:
    """The server's media process."""
    for process in descendants(server.child):
        if b"adapters.webrtc.media_worker" in Path(f"/proc/{process}/cmdline").read_bytes():
            return process
    raise AssertionError("there is no media process")
