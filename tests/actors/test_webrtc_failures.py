"""Peers that fail, phones that come and go, and what is told of it, through the whole tree."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from actors import handover
from actors.audio.sources import Sources
from actors.domain import DomainSettings
from actors.session.messages import Goodbye
from actors.webrtc.ports import PeerFault, PeerStats
from actors.webrtc.settings import WebrtcSettings
from runtime.testing import CrashPoint, crash
from tests.actors.media import ScriptedMedia
from tests.actors.test_session_handed_over import recorded, take_over
from tests.actors.voice import BREATHLESS
from tests.actors.webrtc_scene import CHUNK, FRAME, SDP, Scene, open_scene
from tests.actors.world import ADA, open_world

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
