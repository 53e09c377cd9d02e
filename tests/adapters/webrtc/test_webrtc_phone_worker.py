"""The simulated phone with its peer, and the media process behind its WebSocket: all but the domain."""

from __future__ import annotations

import os
import signal
from typing import Any

import trio

from actors.webrtc.ports import PeerRequest, PeerState
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.webrtc import MediaProcess, MediaSettings
from clients.glasses import Glasses, MicrophoneOptions
from clients.glasses.peer import PeerProcess
from tests.adapters.webrtc.conformance import until
from tests.adapters.webrtc.rig import ServerSide
from tests.adapters.webrtc.sound import SPEECH
from tests.clients.scripted_cloud import Peer, ScriptedCloud
from tests.clients.test_glasses import MICROPHONE


class Cloud:
    """As much of a cloud as WebRTC needs: it answers offers, and hands on candidates."""

    def __init__(self, peer: Peer, media: MediaProcess) -> None:
        self.sides: list[ServerSide] = []
        self.started = 0
        self.stopped = 0
        self._peer = peer
        self._media = media
        self._numbers = 0

    async def run(self) -> None:
        server: Any = None
        while True:
            message = await self._peer.receive()
            if isinstance(message, bytes):
                continue
            match message["type"]:
                case "ping":
                    await self._peer.send({"type": "pong"})
                case "webrtc_capability":
                    await self._peer.send({"type": "webrtc_ready", "sessionId": "s", "iceServers": []})
                case "webrtc_offer":
                    side = ServerSide()
                    self.sides.append(side)
                    self._numbers += 1
                    server = self._media.open(PeerRequest(peer_id=str(self._numbers), allow_local=True), side)
                    server.take_offer(message["sdp"])
                    await side.until(lambda side=side: side.answers)  # type: ignore[misc]
                    answer = {"type": "webrtc_answer", "sdp": side.answers[0], "sessionId": "s"}
                    await self._peer.send(answer)
                case "webrtc_ice_candidate":
                    server.take_candidate(message["candidate"], message["sdpMLineIndex"], message["sdpMid"])
                case "webrtc_audio_start":
                    self.started += 1
                case "webrtc_audio_stop":
                    self.stopped += 1


async def test_a_phone_speaks_over_webrtc_and_again_after_its_process_died() -> None:
    media = MediaProcess(MediaSettings(), RecordingTelemetry())
    process = PeerProcess()
    async with trio.open_nursery() as nursery:
        scripted = ScriptedCloud(nursery)
        glasses = Glasses(
            "http://cloud",
            "t",
            microphone=MicrophoneOptions(audio="webrtc"),
            connect=scripted.connect,
            open_peer=process.open,
        )
        for service in (media.run, process.run, glasses.run):
            nursery.start_soon(service)
        peer = await scripted.accept()
        await peer.acknowledge_phone()
        await peer.send(MICROPHONE)
        cloud = Cloud(peer, media)
        nursery.start_soon(cloud.run)
        for attempt in (1, 2):
            await glasses.wait_for(lambda phone: phone.is_on_webrtc, timeout_s=15)
            side = cloud.sides[-1]
            await glasses.play(SPEECH[:16_000], chunk_ms=20)
            await side.until(lambda side=side: len(side.pcm) >= 16_000)  # type: ignore[misc]
            await until(lambda attempt=attempt: cloud.started == attempt)  # type: ignore[misc]
            assert [PeerState.CONNECTING, PeerState.CONNECTED] == side.states[:2]
            if attempt == 1:
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)
                await glasses.wait_for(lambda phone: not phone.is_on_webrtc)
        assert 1 == cloud.stopped
        nursery.cancel_scope.cancel()
