"""WebRTC through the whole tree: a phone, its peer, and what the apps hear."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors import handover
from actors.audio.sources import Sources
from actors.audio.udp import UdpSettings
from actors.domain import DomainSettings
from actors.overload.machine import OverloadState
from actors.session.messages import AdmitPhone, Goodbye, configure_audio
from actors.webrtc.ports import PeerFault, PeerState, PeerStats
from actors.webrtc.settings import WebrtcSettings
from adapters.simulated.lc3 import encode, pcm_of
from adapters.simulated.udp import SimulatedUdp
from protocols import udp
from protocols.audio import PCM_FORMAT, lc3_format
from protocols.udp import Datagram
from runtime.testing import CrashPoint, crash
from tests.actors.media import ScriptedMedia
from tests.actors.test_session_handed_over import recorded, take_over
from tests.actors.voice import BREATHLESS
from tests.actors.world import ADA, AppServer, FakeConnection, World, open_world

SDP = "v=0\r\no=- 4711 2 IN IP4 192.0.2.7\r\n"
CANDIDATE = "candidate:1 1 udp 2130706431 192.0.2.7 40000 typ host"
FRAME = 640
CHUNK = 3_200


@asynccontextmanager
async def open_scene(**fields: Any) -> AsyncIterator[Scene]:
    media = ScriptedMedia()
    of_udp = fields.pop("udp", UdpSettings())
    settings = DomainSettings(webrtc=WebrtcSettings(**{"enabled": True, **fields}), udp=of_udp)
    async with open_world(settings=settings, media=media) as world:
        yield await Scene.begin(world, media)


class Scene:
    """A phone with an app that takes its audio, and what it says of WebRTC."""

    def __init__(self, world: World, media: ScriptedMedia, phone: FakeConnection, server: AppServer) -> None:
        self.world = world
        self.media = media
        self.phone = phone
        self.server = server

    @classmethod
    async def begin(cls, world: World, media: ScriptedMedia) -> Scene:
        phone = await world.phone()
        return cls(world, media, phone, await world.running_app(phone))

    async def say(self, kind: str, **fields: object) -> None:
        self.phone.say(json.dumps({"type": f"webrtc_{kind}", **fields}).encode())
        await self.world.settle()

    async def offer(self, sdp: str = SDP) -> None:
        await self.say("capability", supported=True)
        await self.say("offer", sdp=sdp, sessionId=ADA)

    async def connect(self) -> None:
        await self.offer()
        await self.say("audio_start")

    def told(self, kind: str) -> list[dict[str, Any]]:
        return self.phone.heard(f"webrtc_{kind}")

    def codes(self) -> list[str]:
        return [error["code"] for error in self.told("error")]

    @property
    def routed(self) -> bytes:
        return b"".join(self.server.connection.frames())

    def facts(self, name: str) -> dict[str, Any]:
        tree = self.world.system.tree(self.world.find(f"users/{ADA}/{name}"))
        return dict(msgspec.to_builtins(tree.facts))

    @property
    def source(self) -> str:
        return str(self.facts("audio")["source"])

    async def speak_both(self, voice: bytes, begin: int, end: int, *, late: int = 2) -> None:
        """From `begin` to `end` of the voice, over the WebSocket, and `late` frames later over the peer."""
        for at in range(begin, end, FRAME):
            await trio.sleep(0.02)
            if at % CHUNK == CHUNK - FRAME:
                self.phone.stream(voice[at + FRAME - CHUNK : at + FRAME])
            if at - late * FRAME >= begin:
                self.media.peer.speak(voice[at - late * FRAME : at - late * FRAME + FRAME])
        await self.world.settle()

    async def speak_directly(self, voice: bytes, begin: int, end: int) -> None:
        for at in range(begin, end, CHUNK):
            await trio.sleep(0.1)
            self.phone.stream(voice[at : at + CHUNK])
        await self.world.settle()


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


# -- failures


@pytest.mark.parametrize("fault", [PeerFault.ICE, PeerFault.PROCESS, PeerFault.MEDIA, PeerFault.BUSY])
async def test_a_failed_peer_is_tried_again_and_heard_again(
    autojump_clock: MockClock, fault: PeerFault
) -> None:
    async with open_scene() as scene:
        await scene.connect()
        scene.media.peer.speak(BREATHLESS[:FRAME])

        scene.media.peer.fail(fault, "the cable")
        assert "websocket" == scene.source
        await trio.sleep(7)

        assert 1 == len(scene.codes())
        assert 2 == len(scene.told("ready"))
        assert {fault.value: 1} == scene.facts("peer")["faults"]
        (failed,) = scene.world.telemetry.of("webrtc_failed")
        assert (fault.value, "the cable") == (failed["category"], failed["cause"])
        await scene.say("offer", sdp=SDP.replace("4711", "4712"), sessionId=ADA)
        scene.media.peer.speak(BREATHLESS[FRAME : 2 * FRAME])
        assert BREATHLESS[: 2 * FRAME] == scene.routed
        assert 1 == len(scene.media.living())


@pytest.mark.parametrize("times", [1, 4])
async def test_a_crash_of_the_peers_actor_closes_it_and_it_is_negotiated_again(
    autojump_clock: MockClock, times: int
) -> None:
    voice = BREATHLESS[:200_000]
    async with open_scene() as scene:
        await scene.connect()
        await scene.speak_directly(voice, 0, 10 * CHUNK)
        await scene.speak_both(voice, 10 * CHUNK, 20 * CHUNK)
        for _ in range(times):
            scene.world.find(f"users/{ADA}/peer").crash(RuntimeError("no"))
            await trio.sleep(0 if times == 1 else 2.6)
        await scene.world.settle()

        assert [] == scene.media.living()
        assert "websocket" == scene.source
        await scene.speak_directly(voice, 20 * CHUNK, 30 * CHUNK)
        assert voice[: 30 * CHUNK] == scene.routed
        await trio.sleep(2)
        assert 1 < len(scene.told("ready")), "the phone is asked again"
        await scene.offer(SDP.replace("4711", "4712"))
        await scene.say("audio_start")
        assert scene.facts("peer")["is_heard"]
        assert scene.phone.is_open


async def test_an_actor_that_starts_clean_closes_the_peer_it_has_forgotten(autojump_clock: MockClock) -> None:
    async with open_scene() as scene:
        for number in range(3):
            await scene.offer(SDP.replace("4711", str(number)))
            await scene.say("audio_start")
            scene.media.peer.speak(BREATHLESS[:FRAME])
            scene.world.find(f"users/{ADA}/peer").crash(RuntimeError("no"))
            await trio.sleep(2.6)

        assert 3 == len(scene.media.peers)
        assert [] == scene.media.living()
        await scene.offer()
        assert 1 == len(scene.media.living())
        assert "connected" == scene.facts("peer")["peer"], "old mail is not taken for the new peer's"


async def test_an_offer_that_a_crash_loses_is_asked_for_again(autojump_clock: MockClock) -> None:
    async with open_scene() as scene:
        await scene.say("capability", supported=True)
        crash(scene.world.find(f"users/{ADA}/peer"), CrashPoint.BEFORE_HANDLER)

        await scene.say("offer", sdp=SDP, sessionId=ADA)
        await trio.sleep(2)

        assert [] == scene.media.peers
        assert 2 == len(scene.told("ready"))


async def test_a_crash_of_the_audio_actor_leaves_the_peer_alone(autojump_clock: MockClock) -> None:
    async with open_scene() as scene:
        await scene.connect()
        scene.media.peer.speak(BREATHLESS[:FRAME])

        scene.world.find(f"users/{ADA}/audio").crash(RuntimeError("no"))
        await trio.sleep(0.01)
        scene.media.peer.speak(BREATHLESS[FRAME : 2 * FRAME])
        assert "webrtc" == scene.source
        assert BREATHLESS[: 2 * FRAME] == scene.routed
        await trio.sleep(0.2)
        assert "websocket" == scene.source, "its timer is armed again"


async def test_sources_that_raise_crash_the_audio_actor_alone(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("no")

    async with open_scene() as scene:
        await scene.connect()
        with monkeypatch.context() as patched:
            patched.setattr(Sources, "peer", broken)
            scene.media.peer.speak(BREATHLESS[:FRAME])
            await trio.sleep(0.5)

        await scene.speak_directly(BREATHLESS, 0, CHUNK)
        assert BREATHLESS[:CHUNK] == scene.routed
        assert 1 == scene.world.system.tree(scene.world.find(f"users/{ADA}/audio")).restarts
        assert scene.phone.is_open


# -- phones that come and go


async def test_the_audio_goes_on_while_the_phones_websocket_is_away(autojump_clock: MockClock) -> None:
    async with open_scene() as scene:
        await scene.connect()
        scene.media.peer.speak(BREATHLESS[:FRAME])
        scene.phone.hang_up()
        await trio.sleep(0.1)
        scene.media.peer.speak(BREATHLESS[FRAME : 2 * FRAME])
        scene.phone = await scene.world.phone()
        scene.media.peer.speak(BREATHLESS[2 * FRAME : 3 * FRAME])

        assert BREATHLESS[: 3 * FRAME] == scene.routed
        assert 1 == len(scene.media.peers)
        await scene.say("audio_stop")
        assert not scene.facts("peer")["is_heard"], "the new socket speaks for it"


async def test_a_phone_that_takes_over_is_heard_over_its_own_socket(autojump_clock: MockClock) -> None:
    async with open_scene() as scene:
        await scene.connect()
        scene.media.peer.speak(BREATHLESS[:FRAME])

        scene.phone.peer = "198.51.100.9:5000"
        scene.phone = await scene.world.phone()
        assert [] == scene.media.living()
        await scene.speak_directly(BREATHLESS, 0, CHUNK)
        assert BREATHLESS[:FRAME] + BREATHLESS[:CHUNK] == scene.routed
        await scene.offer(SDP.replace("4711", "4712"))
        assert 1 == len(scene.media.living()), "and may negotiate one of its own"


async def test_a_phone_that_dials_again_before_its_dead_socket_is_noticed_keeps_its_peer(
    autojump_clock: MockClock,
) -> None:
    async with open_scene() as scene:
        await scene.connect()
        scene.media.peer.speak(BREATHLESS[:FRAME])

        scene.phone = await scene.world.phone()
        scene.media.peer.speak(BREATHLESS[FRAME : 2 * FRAME])

        assert BREATHLESS[: 2 * FRAME] == scene.routed
        assert 1 == len(scene.media.peers)


@pytest.mark.parametrize("how", ["goodbye", "grace", "shutdown"])
async def test_no_peer_outlives_its_session(autojump_clock: MockClock, how: str) -> None:
    async with open_scene() as scene:
        await scene.connect()
        if how == "goodbye":
            await scene.world.find(f"users/{ADA}/session").ask(Goodbye)
        elif how == "grace":
            scene.phone.hang_up()
            await trio.sleep(290)
            assert 1 == len(scene.media.living()), "it may outlive its phone's socket for the grace"
        media = scene.media
        await trio.sleep(20)
        if how != "shutdown":
            assert [] == media.living()
    assert [] == media.living()


async def test_a_session_that_moves_to_another_process_asks_for_a_peer_there(
    autojump_clock: MockClock,
) -> None:
    async with open_scene() as scene:
        await scene.connect()
        record = handover.decode(handover.encode(recorded(scene.world)))
        connections = [scene.phone, scene.server.connection]
    for connection in connections:
        connection.is_open, connection.closed_with = True, None
    media = ScriptedMedia()
    settings = DomainSettings(webrtc=WebrtcSettings(enabled=True))
    async with open_world(settings=settings, media=media) as world:
        scene = Scene(world, media, scene.phone, scene.server)
        scene.phone.sent.clear()
        await take_over(world, record, connections, settings)
        await trio.sleep(2)

        assert ["UNKNOWN"] == scene.codes(), "its peer has gone: the microphone is heard over the WebSocket"
        assert 1 == len(scene.told("ready"))
        await scene.say("offer", sdp=SDP, sessionId=ADA)
        assert scene.facts("peer")["is_heard"], "it had started its audio, and need not again"


# -- figures


async def test_its_figures_are_shown_and_alarms_are_told_once(autojump_clock: MockClock) -> None:
    async with open_scene() as scene:
        await scene.connect()
        for second in range(20):
            is_poor = 3 <= second < 12
            lost = 10 * (min(second, 12) - 3) if second > 3 else 0
            scene.media.peer.listener.stats(
                PeerStats(
                    round_trip_s=0.5 if is_poor else 0.05,
                    jitter_s=0.01,
                    packets=50 * second,
                    bytes_in=4_000 * second,
                    lost=lost,
                    recovered=3,
                    buffer_s=0.06,
                )
            )
            await trio.sleep(1)

        poor, well = (scene.world.telemetry.of(name) for name in ("webrtc_poor", "webrtc_well"))
        assert ["round trip", "loss"] == [fields["figure"] for fields in poor]
        assert {"round trip", "loss"} == {fields["figure"] for fields in well}
        facts = scene.facts("peer")
        assert ("connected", 50.0, 10.0, 60.0, 950, 3) == tuple(
            facts[name]
            for name in ("peer", "round_trip_ms", "jitter_ms", "buffer_ms", "packets", "recovered")
        )


async def test_a_short_trouble_is_no_alarm(autojump_clock: MockClock) -> None:
    async with open_scene() as scene:
        await scene.connect()
        for second in range(12):
            round_trip_s = 0.5 if second % 4 else 0.05
            scene.media.peer.listener.stats(PeerStats(round_trip_s=round_trip_s, packets=second))
            await trio.sleep(1)

        assert [] == scene.world.telemetry.of("webrtc_poor")
