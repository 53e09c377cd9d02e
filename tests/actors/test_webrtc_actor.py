"""WebRTC through the whole tree: a phone, its peer, and what the apps hear."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.audio.udp import UdpSettings
from actors.domain import DomainSettings
from actors.overload.machine import OverloadState
from actors.session.messages import AdmitPhone, configure_audio
from actors.webrtc.ports import PeerState
from actors.webrtc.settings import WebrtcSettings
from adapters.simulated.lc3 import encode, pcm_of
from adapters.simulated.udp import SimulatedUdp
from protocols import udp
from protocols.audio import PCM_FORMAT, lc3_format
from protocols.udp import Datagram
from tests.actors.media import ScriptedMedia
from tests.actors.voice import BREATHLESS
from tests.actors.webrtc_scene import CANDIDATE, CHUNK, FRAME, SDP, open_scene
from tests.actors.world import ADA, open_world

# -- negotiation


async def test_a_phone_negotiates_and_its_audio_reaches_apps_and_recognisers(
    autojump_clock: MockClock,
) -> None:
    servers = ("stun:stun.example.org:3478", "turn:ada:p%40ss@turn.example.org:3478?transport=udp")
    async with open_scene(ice_servers=servers) as scene:
        await scene.say("capability", supported=True, preferredCodec="pcm")
        (ready,) = scene.told("ready")
        assert ADA == ready["sessionId"]
        assert [
            {"urls": ["stun:stun.example.org:3478"]},
            {
                "urls": ["turn:turn.example.org:3478?transport=udp"],
                "username": "ada",
                "credential": "p@ss",
            },
        ] == ready["iceServers"]

        await scene.say("offer", sdp=SDP, sessionId=ADA)
        await scene.say("ice_candidate", candidate=CANDIDATE, sdpMLineIndex=0, sdpMid="0", sessionId=ADA)
        scene.media.peer.listener.candidate(CANDIDATE, 0, "0")
        await scene.say("audio_start")
        scene.media.peer.speak(BREATHLESS[:FRAME])

        request = scene.media.peer.request
        assert ("pcm", False, 2) == (request.codec, request.allow_local, len(request.ice_servers))
        assert [("offer", SDP), ("candidate", CANDIDATE)] == scene.media.peer.asked
        assert [f"answer to {SDP}"] == [answer["sdp"] for answer in scene.told("answer")]
        assert [(CANDIDATE, 0, "0")] == [
            (one["candidate"], one["sdpMLineIndex"], one["sdpMid"]) for one in scene.told("ice_candidate")
        ]
        assert BREATHLESS[:FRAME] == scene.routed == scene.world.speech.streams[0].offered
        assert [] == scene.codes()
        assert "webrtc" == scene.source


async def test_the_server_offers_where_it_is_set(autojump_clock: MockClock) -> None:
    async with open_scene(offerer="server") as scene:
        await scene.say("capability", supported=True)
        (offer,) = scene.told("offer")
        await scene.say("offer", sdp=SDP, sessionId=ADA)
        await scene.say("answer", sdp="theirs", sessionId=ADA)
        await scene.say("audio_start")
        scene.media.peer.speak(BREATHLESS[:FRAME])

        assert ADA == offer["sessionId"]
        assert [("make offer", False), ("answer", "theirs")] == scene.media.peer.asked
        assert {"glare": 1} == scene.facts("peer")["ignored"]
        assert BREATHLESS[:FRAME] == scene.routed


@pytest.mark.parametrize(
    ("fields", "is_ready"),
    [
        ({"enabled": False}, False),
        ({"enabled": False, "users": (ADA,)}, False),
        ({"percent": 0.0}, False),
        ({"percent": 0.0, "users": ("Ada@Example.org",)}, True),
        ({"percent": 100.0}, True),
    ],
)
async def test_it_is_on_by_setting_by_percentage_and_by_user(
    autojump_clock: MockClock, fields: dict[str, Any], is_ready: bool
) -> None:
    async with open_scene(**fields) as scene:
        await scene.say("capability", supported=True)

        assert (1 if is_ready else 0) == len(scene.told("ready"))
        assert ([] if is_ready else ["INIT_FAILED"]) == scene.codes()


async def test_a_server_without_a_media_process_says_so_and_goes_on(autojump_clock: MockClock) -> None:
    async with open_world(settings=DomainSettings(webrtc=WebrtcSettings(enabled=True))) as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        phone.say({"type": "webrtc_capability", "supported": True})
        phone.stream(BREATHLESS[:CHUNK])
        await world.settle()

        assert ["INIT_FAILED"] == [error["code"] for error in phone.heard("webrtc_error")]
        assert [BREATHLESS[:CHUNK]] == server.connection.frames()


async def test_no_hostile_signal_ends_the_session(autojump_clock: MockClock) -> None:
    async with open_scene() as scene:
        await scene.connect()
        for sdp in ("hostile", "", "x" * 100_000, "\x00\ud800", "o=- 1 1 IN IP4 x"):
            await scene.say("offer", sdp=sdp, sessionId=ADA)
        for candidate in ("candidate:", "%s%n" * 100, CANDIDATE + "\r\na=x", CANDIDATE):
            await scene.say("ice_candidate", candidate=candidate, sdpMLineIndex=-(2**70), sdpMid="\0" * 999)
        for kind in ("offer", "answer", "ice_candidate", "audio_start", "audio_stop", "error", "capability"):
            await scene.say(kind)
            await scene.say(kind, sdp=7, candidate=[], sessionId={"a": 1}, supported="yes")
        for _ in range(300):
            scene.phone.say({"type": "webrtc_answer", "sdp": SDP, "sessionId": "eve@example.org"})
        await trio.sleep(30)

        tree = scene.world.system.tree(scene.world.find(f"users/{ADA}"))
        assert all(node.restarts == 0 for node in tree.walk())
        assert scene.phone.is_open
        await scene.speak_directly(BREATHLESS, 0, CHUNK)
        assert BREATHLESS[:CHUNK] == scene.routed[-CHUNK:]
        assert 0 < scene.world.telemetry.counters()["webrtc_signals_dropped"]
        assert len(scene.media.living()) <= 1


async def test_apps_do_not_hear_of_it(autojump_clock: MockClock) -> None:
    media = ScriptedMedia()
    settings = DomainSettings(webrtc=WebrtcSettings(enabled=True))
    async with open_world(settings=settings, media=media) as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=("*", "all", "webrtc_offer"))

        for kind in ("capability", "offer"):
            phone.say({"type": f"webrtc_{kind}", "supported": True, "sdp": SDP})
        await world.settle()

        assert [] == [one for one in server.connection.heard("data_stream") if "webrtc" in str(one)]
        assert 1 == len(media.peers)


# -- the source


async def test_webrtc_wins_and_a_lost_peer_falls_back_at_once_with_nothing_lost_or_twice(
    autojump_clock: MockClock,
) -> None:
    second = 32_000
    voice = BREATHLESS[: 8 * second]
    async with open_scene() as scene:
        await scene.speak_directly(voice, 0, second)
        await scene.connect()
        await scene.speak_directly(voice, second, second + 2 * CHUNK)
        begin = second + 2 * CHUNK
        await scene.speak_both(voice, begin, begin + 15 * CHUNK)
        assert "webrtc" == scene.source
        ignored = scene.facts("audio")["ignored_bytes"]

        lost_at = trio.current_time()
        scene.media.peer.listener.state(PeerState.DISCONNECTED)
        assert "websocket" == scene.source, "at once"
        assert lost_at == trio.current_time()
        await scene.speak_directly(voice, begin + 15 * CHUNK, begin + 20 * CHUNK)

        assert voice[: begin + 20 * CHUNK] == scene.routed
        assert voice[: begin + 20 * CHUNK] == scene.world.speech.streams[0].offered
        facts = scene.facts("audio")
        assert (2, 0, 0) == tuple(facts[name] for name in ("switches", "unsure", "missing_bytes"))
        assert 10 * CHUNK < ignored
        told = scene.world.telemetry.of("audio_source")
        assert ["webrtc", "websocket"] == [fields["source"] for fields in told]


async def test_a_peer_that_brings_nothing_any_more_is_found_out(autojump_clock: MockClock) -> None:
    voice = BREATHLESS[:200_000]
    async with open_scene() as scene:
        await scene.connect()
        await scene.speak_directly(voice, 0, 10 * CHUNK)
        await scene.speak_both(voice, 10 * CHUNK, 20 * CHUNK)
        assert "webrtc" == scene.source

        silent_from = trio.current_time()
        await trio.sleep(0.16)

        assert "websocket" == scene.source, "by a timer: nothing has come since"
        assert 1 == len(scene.media.living()), "it may go on"
        await scene.speak_directly(voice, 20 * CHUNK, 25 * CHUNK)
        assert voice[: 25 * CHUNK] == scene.routed
        assert trio.current_time() - silent_from < 1


async def test_a_stop_goes_back_to_the_websocket_and_a_start_to_webrtc(autojump_clock: MockClock) -> None:
    voice = BREATHLESS[:320_000]
    async with open_scene() as scene:
        await scene.connect()
        await scene.speak_directly(voice, 0, 5 * CHUNK)
        at = 5 * CHUNK
        for kind, source in (
            ("audio_stop", "websocket"),
            ("audio_start", "webrtc"),
            ("audio_stop", "websocket"),
        ):
            await scene.say(kind)
            scene.media.peer.position = at // 2
            await scene.speak_both(voice, at, at + 10 * CHUNK)
            at += 10 * CHUNK
            assert source == scene.source
        await scene.speak_directly(voice, at, at + 5 * CHUNK)

        assert voice[: at + 5 * CHUNK] == scene.routed


async def test_the_ways_of_lc3_and_of_webrtc_change_too(autojump_clock: MockClock) -> None:
    tones = [300 + 17 * (number * 7 % 23) for number in range(400)]
    voice = b"".join(map(pcm_of, tones))
    async with open_scene() as scene:
        await scene.world.find(f"users/{ADA}/session").ask(configure_audio(lc3_format(20)))
        await scene.connect()
        for number in range(0, 300, 2):
            await trio.sleep(0.02)
            scene.phone.stream(encode(tones[number]) + encode(tones[number + 1]))
            if 60 <= number < 200:
                scene.media.peer.speak(voice[(number - 4) * 320 : (number - 2) * 320])
        await scene.world.settle()

        facts = scene.facts("audio")
        assert ("websocket", 2) == (facts["source"], facts["switches"])
        assert len(voice[: 300 * 320]) == len(scene.routed)


async def test_datagrams_give_way_to_webrtc_as_the_websocket_does(autojump_clock: MockClock) -> None:
    voice = BREATHLESS[:200_000]
    async with open_scene(udp=UdpSettings(enabled=True)) as scene:
        assert scene.world.hall is not None
        network = SimulatedUdp(scene.world.hall.domain.udp, public_host="glass.example.org")
        scene.world.hall.domain.udp.address = ("glass.example.org", 8000)
        scene.phone = await scene.world.phone()
        scene.phone.say({"type": "udp_register", "userIdHash": udp.user_hash(ADA)})
        await scene.world.settle()
        hash_of_user = udp.user_hash(ADA)
        network.send(udp.encode(Datagram(hash_of_user, 0, udp.PING)), ("192.0.2.7", 4_000))
        await scene.world.find(f"users/{ADA}/session").ask(configure_audio(PCM_FORMAT))
        await scene.connect()
        for number in range(1, 200):
            at = (number - 1) * FRAME
            await trio.sleep(0.02)
            datagram = Datagram(hash_of_user, number, voice[at : at + FRAME])
            network.send(udp.encode(datagram), ("192.0.2.7", 4_000))
            if 50 <= number < 120:
                scene.media.peer.speak(voice[at - 3 * FRAME : at - 2 * FRAME])

        facts = scene.facts("audio")
        assert ("websocket", 2, 0) == tuple(facts[name] for name in ("source", "switches", "unsure"))
        assert voice[: 199 * FRAME] == scene.routed


async def test_an_overloaded_server_sheds_what_webrtc_brings_too(autojump_clock: MockClock) -> None:
    async with open_scene() as scene:
        assert scene.world.hall is not None
        await scene.connect()
        board = scene.world.hall.domain.overload
        for at in range(0, 200 * FRAME, FRAME):
            await trio.sleep(0.02)
            board.post(OverloadState(entered_at=1.0, share=0.5))
            scene.media.peer.speak(BREATHLESS[at : at + FRAME])

        assert 0.4 < len(scene.routed) / (200 * FRAME) < 0.6
        facts = scene.facts("audio")
        assert 80 < facts["shed"] < 120
        assert ("webrtc", 1) == (facts["source"], facts["switches"]), "it is no stall"


async def test_what_was_kept_goes_out_in_pieces(autojump_clock: MockClock) -> None:
    """A second at once would not fit into a slow app's queue."""
    voice = BREATHLESS[:200_000]
    async with open_scene() as scene:
        await scene.connect()
        await scene.speak_directly(voice, 0, 10 * CHUNK)
        await scene.speak_both(voice, 10 * CHUNK, 20 * CHUNK, late=20)
        scene.media.peer.listener.state(PeerState.FAILED)

        assert voice[: 20 * CHUNK] == scene.routed
        assert CHUNK == max(map(len, scene.server.connection.frames()))


async def test_without_a_peer_the_way_of_plain_frames_is_the_short_one(autojump_clock: MockClock) -> None:
    async with open_scene() as scene:
        slot = (await scene.world.find(f"users/{ADA}/session").ask(_welcome)).audio
        await scene.speak_directly(BREATHLESS, 0, CHUNK)
        assert slot.plain is scene.phone

        await scene.connect()
        assert slot.plain is None
        await scene.speak_both(BREATHLESS, CHUNK, 20 * CHUNK)
        await scene.say("capability", supported=False)
        await scene.speak_directly(BREATHLESS, 20 * CHUNK, 22 * CHUNK)

        assert (None, scene.phone) == (slot.sources, slot.plain)
        assert BREATHLESS[: 22 * CHUNK] == scene.routed


def _welcome(reply_to: Any) -> Any:
    return AdmitPhone(reply_to)
