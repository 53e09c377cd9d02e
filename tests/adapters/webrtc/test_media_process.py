"""The media process itself: kept, limited, replaced. aiortc on both sides, over loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from actors.webrtc.ports import IceServerSettings, PeerFault, PeerRequest
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.webrtc import MediaProcess, MediaSettings
from clients.glasses.peer import PeerOptions, PeerProcess
from protocols import media_process as wire
from tests.adapters.webrtc.conformance import MediaConformance, speak, until, until_open
from tests.adapters.webrtc.offers import AUDIO
from tests.adapters.webrtc.rig import Pair, ServerSide, World, connected


@asynccontextmanager
async def real(
    settings: MediaSettings | None = None,
    *,
    codec: wire.Codec = "opus",
    telemetry: RecordingTelemetry | None = None,
) -> AsyncIterator[World]:
    media = MediaProcess(settings or MediaSettings(restart_first_s=0.05), telemetry or RecordingTelemetry())
    phones = PeerProcess()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(media.run)
        nursery.start_soon(phones.run)
        options = PeerOptions(codec=codec)
        yield World(media, lambda listener: phones.open(options, listener), lambda: kill(media))
        nursery.cancel_scope.cancel()


def kill(media: MediaProcess) -> None:
    pid = media.view().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


class TestMediaProcess(MediaConformance):
    def world(self, *, most_peers: int = 200) -> AbstractAsyncContextManager[World]:
        return real(MediaSettings(most_peers=most_peers, restart_first_s=0.05))


async def test_a_process_that_hangs_is_replaced_and_its_peers_are_told() -> None:
    telemetry = RecordingTelemetry()
    settings = MediaSettings(heartbeat_s=0.05, hang_s=2.0, restart_first_s=0.05)
    async with real(settings, telemetry=telemetry) as world, connected(world) as pair:
        media = world.media
        assert isinstance(media, MediaProcess)
        pid = media.view().pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        await pair.heard.until(lambda: pair.heard.failures)

        assert [PeerFault.PROCESS] == pair.heard.faults
        assert "no sign of life" in pair.heard.failures[0][1]
        assert "no sign of life" in str(telemetry.of("media_process_died")[0]["cause"])
        await until(lambda: not is_alive(pid))


@pytest.mark.parametrize(
    ("program", "cause", "start_s"),
    [
        ("raise SystemExit(3)", "ended with status 3", 20),
        ("import os; os.write(1, b'nonsense'); input()", "wrote nonsense", 20),
        ("import os; os.write(1, bytes([1, 0, 0, 0, 7])); input()", "wrote nonsense", 20),
        ("input()", "not ready within", 0.3),
    ],
)
async def test_a_process_that_cannot_be_started_leaves_nobody_waiting(
    program: str, cause: str, start_s: float
) -> None:
    telemetry = RecordingTelemetry()
    settings = MediaSettings(start_s=start_s, restart_first_s=0.01, restart_most_s=0.02)
    media = MediaProcess(settings, telemetry, (sys.executable, "-c", program))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(media.run)
        heard = ServerSide()
        media.open(PeerRequest(peer_id="1"), heard)
        await heard.until(lambda: heard.failures)

        assert [PeerFault.PROCESS] == heard.faults
        assert cause in heard.failures[0][1]
        await until(lambda: not media.is_available)  # it goes on trying by itself
        nursery.cancel_scope.cancel()


async def test_a_program_that_is_not_there_is_a_failure_like_any_other() -> None:
    media = MediaProcess(MediaSettings(), RecordingTelemetry(), ("no-such-program",))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(media.run)
        heard = ServerSide()
        media.open(PeerRequest(peer_id="1"), heard)
        await heard.until(lambda: heard.failures)
        late = ServerSide()
        media.open(PeerRequest(peer_id="2"), late)
        assert "waiting" == media.view().state
        await late.until(lambda: late.failures)

        assert [PeerFault.PROCESS] == heard.faults == late.faults
        nursery.cancel_scope.cancel()


async def test_a_crash_of_what_talks_to_the_process_is_told_before_it_is_begun_anew() -> None:
    class Broken(RecordingTelemetry):
        def info(self, event: str, **fields: object) -> None:
            raise RuntimeError(event)

    media, heard = MediaProcess(MediaSettings(), Broken()), ServerSide()
    media.open(PeerRequest(peer_id="1"), heard)

    with pytest.raises(ExceptionGroup):
        await media.run()

    assert [(PeerFault.PROCESS, "the media process ended: what talks to it has crashed")] == heard.failures
    assert ("off", 0) == (media.view().state, media.view().peers)


async def test_the_process_starts_with_the_first_peer_and_ends_with_the_server() -> None:
    media = MediaProcess(MediaSettings(), RecordingTelemetry())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(media.run)
        await trio.testing.wait_all_tasks_blocked()
        assert media.view().pid is None
        heard = ServerSide()
        media.open(PeerRequest(peer_id="1", allow_local=True), heard).make_offer()
        await heard.until(lambda: heard.offers)
        pid = media.view().pid
        nursery.cancel_scope.cancel()

    assert pid is not None
    assert not is_alive(pid)


def test_the_worker_ends_when_its_pipe_closes() -> None:
    with subprocess.Popen(
        (sys.executable, *wire.COMMAND), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        process.stdin.write(wire.pack(wire.Configure()))
        process.stdin.close()

        assert 0 == process.wait(timeout=10)


def test_the_server_never_imports_aiortc() -> None:
    program = (
        "import sys, config.server, adapters.webrtc.process;"
        "print([name for name in ('aiortc', 'av', 'aioice') if name in sys.modules])"
    )
    printed = subprocess.run((sys.executable, "-c", program), cwd=ROOT, capture_output=True, check=True)

    assert b"[]" == printed.stdout.strip()


async def test_descriptions_and_candidates_beyond_the_limits_never_reach_the_process() -> None:
    settings = MediaSettings(most_sdp_bytes=1_000, most_candidates=3)
    async with real(settings) as world:
        long, many = ServerSide(), ServerSide()
        world.media.open(PeerRequest(peer_id="1"), long).take_offer("v=0\r\n" + "a=x\r\n" * 200)
        peer = world.media.open(PeerRequest(peer_id="2"), many)
        for port in range(5_000, 5_100):
            peer.take_candidate(f"candidate:1 1 udp 1 192.0.2.1 {port} typ host", 0, "0")
        await long.until(lambda: long.failures)
        await many.until(lambda: many.failures)
        peer.make_offer()
        await many.until(lambda: many.offers)

        assert [(PeerFault.OFFER, "a description of 1005 bytes; expected at most 1000")] == long.failures
        assert [(PeerFault.CANDIDATE, "more than 3 candidates")] == many.failures


async def test_what_is_offered_without_leave_names_no_address_of_ours() -> None:
    async with real() as world:
        open_, closed = ServerSide(), ServerSide()
        for heard, allow_local in ((open_, True), (closed, False)):
            request = PeerRequest(peer_id=str(allow_local), allow_local=allow_local)
            world.media.open(request, heard).make_offer()
            await heard.until(lambda heard=heard: heard.offers)  # type: ignore[misc]

        assert " 127.0.0.1 " in open_.offers[0]
        assert "candidate" not in closed.offers[0]
        assert "c=IN IP4 0.0.0.0" in closed.offers[0]


async def test_without_leave_no_check_goes_to_a_phone_on_our_own_network() -> None:
    settings = MediaSettings(connect_s=0.4)
    async with real(settings) as world:
        pair = Pair(world, allow_local=False)
        pair.phone.make_offer()
        await pair.heard.until(lambda: pair.heard.failures)

        assert [(PeerFault.ICE, "not connected within 0.4 s")] == pair.heard.failures
        assert not pair.said.is_connected


async def test_a_codec_is_what_the_server_prefers() -> None:
    async with real() as world, connected(world, codec="pcm") as pair:
        await speak(pair, 10)

        assert "PCMU/8000" in pair.heard.answers[0]
        assert "opus" not in pair.heard.answers[0]
        assert [] == pair.heard.failures


async def test_ice_that_begins_anew_is_answered_with_credentials_of_its_own() -> None:
    async with real() as world, connected(world) as pair:
        pair.phone.make_offer(restart_ice=True)
        await pair.heard.until(lambda: len(pair.heard.answers) == 2)
        pair.phone.make_offer()
        await pair.heard.until(lambda: len(pair.heard.answers) == 3)

        first, anew, again = map(ufrag, pair.heard.answers)
        assert first != anew
        assert anew == again


async def test_an_ice_server_that_is_none_is_no_fault_of_the_offer() -> None:
    async with real() as world:
        heard = ServerSide()
        servers = (IceServerSettings(urls=("https://example.org",)),)
        world.media.open(PeerRequest(peer_id="1", ice_servers=servers), heard).take_offer(AUDIO)
        await heard.until(lambda: heard.failures)

        assert [
            (PeerFault.ICE, "an ICE server of the settings: malformed uri: invalid scheme")
        ] == heard.failures


async def test_a_stun_server_that_is_silent_holds_an_answer_back_by_two_seconds_at_most() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        async with real() as world:
            await until_open(world)
            heard = ServerSide()
            servers = (IceServerSettings(urls=(f"stun:127.0.0.1:{silent.getsockname()[1]}",)),)
            began = trio.current_time()
            world.media.open(PeerRequest(peer_id="1", ice_servers=servers), heard).take_offer(AUDIO)
            await heard.until(lambda: heard.answers)

            assert 1.5 < trio.current_time() - began < 4


async def test_an_offer_of_other_codecs_has_nothing_to_decode() -> None:
    async with real() as world:
        heard = ServerSide()
        offer = AUDIO.replace("opus/48000", "speex/48000").replace("PCM", "XCM")
        world.media.open(PeerRequest(peer_id="1"), heard).take_offer(offer)
        await heard.until(lambda: heard.failures)

        assert [PeerFault.MEDIA] == heard.faults


@pytest.mark.parametrize("address", ["192.0.2.2", "a7a26f11-0b6d-4c2c-9d4f-1d5e9f5c0b2e.local"])
async def test_an_offer_of_chromium_is_answered(address: str) -> None:
    async with real() as world:
        heard = ServerSide()
        peer = world.media.open(PeerRequest(peer_id="1", allow_local=True), heard)
        peer.take_offer(AUDIO.replace("192.0.2.2", address))
        await heard.until(lambda: heard.answers)

        answer = heard.answers[0].splitlines()
        assert "a=group:BUNDLE 0" in answer
        assert "m=audio 9 UDP/TLS/RTP/SAVPF 111" in answer
        assert "a=recvonly" in answer
        assert "a=fmtp:111 minptime=10;useinbandfec=1;stereo=0;maxaveragebitrate=32000" in answer
        assert [] == heard.failures


ROOT = Path(__file__).resolve().parents[3]


def ufrag(sdp: str) -> str:
    (line,) = [line for line in sdp.splitlines() if line.startswith("a=ice-ufrag:")]
    return line


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
