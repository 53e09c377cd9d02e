"""How the simulated phone tells a cloud of its microphone and sends what it hears."""

from __future__ import annotations

import msgspec
import pytest
import trio

from clients.glasses import Frame, Glasses, MicrophoneOptions
from clients.recordings import recordings
from tests.clients.scripted_cloud import Peer, ScriptedCloud
from tests.clients.test_glasses import MICROPHONE, connected

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
CHUNK = bytes(3_200)


async def listening(cloud: ScriptedCloud, glasses: Glasses) -> Peer:
    peer = await connected(cloud)
    await peer.send(MICROPHONE)
    await glasses.wait_for(lambda phone: phone.is_microphone_on)
    return peer


async def binary(peer: Peer) -> bytes:
    while not isinstance(message := await peer.receive(), bytes):
        pass
    return message


async def test_a_phone_that_sends_lc3_says_so_after_every_ack(cloud: ScriptedCloud) -> None:
    cloud.http = OK
    options = MicrophoneOptions(audio="lc3", frame_bytes=40)
    glasses = Glasses("http://cloud:8002", "a+token", microphone=options, connect=cloud.connect)
    async with trio.open_nursery() as nursery:
        await nursery.start(glasses.run)
        for _ in range(2):
            peer = await listening(cloud, glasses)
            await glasses.wait_for(lambda phone: phone.configured == 200)
            await glasses.play(CHUNK)
            assert 10 * 40 == len(await binary(peer))
            await peer.vanish()
            await glasses.wait_for(lambda phone: phone.configured is None)
        nursery.cancel_scope.cancel()

    assert 2 == len(cloud.http_requests)
    head, _, body = cloud.http_requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/client/audio/configure ")
    config = {"sampleRate": 16000, "frameDurationMs": 10, "frameSizeBytes": 40}
    assert {"format": "lc3", "lc3Config": config} == msgspec.json.decode(body)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"])
async def test_a_phone_sends_lc3_whatever_it_was_answered(cloud: ScriptedCloud, answer: bytes) -> None:
    cloud.http = answer
    options = MicrophoneOptions(audio="lc3")
    glasses = Glasses("http://cloud", "t", microphone=options, connect=cloud.connect)
    async with trio.open_nursery() as nursery:
        await nursery.start(glasses.run)
        peer = await listening(cloud, glasses)

        assert 1 == await glasses.play(CHUNK)

        assert 10 * 20 == len(await binary(peer))
        nursery.cancel_scope.cancel()


async def test_a_phone_that_sends_pcm_has_nothing_to_say(cloud: ScriptedCloud) -> None:
    glasses = Glasses("http://cloud", "t", connect=cloud.connect)
    async with trio.open_nursery() as nursery:
        await nursery.start(glasses.run)
        peer = await listening(cloud, glasses)

        await glasses.play(CHUNK)

        assert CHUNK == await binary(peer)
        assert [] == cloud.http_requests
        nursery.cancel_scope.cancel()


async def test_the_detector_tells_the_cloud_and_sends_nothing_while_nobody_speaks(
    cloud: ScriptedCloud,
) -> None:
    glasses = Glasses(
        "http://cloud", "t", microphone=MicrophoneOptions(has_detector=True), connect=cloud.connect
    )
    frames: list[Frame] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(glasses.run)
        peer = await listening(cloud, glasses)

        await glasses.play(
            CHUNK * 10 + recordings()[1].pcm[8_000:24_000], realtime=False, on_frame=frames.append
        )

        heard = await peer.receive()
        assert ("VAD", True) == (heard["type"], heard["status"])
        assert CHUNK == await binary(peer), "from the ring"
        assert {False} == {frame.was_sent for frame in frames[:10]}
        assert frames[-1].was_sent
        nursery.cancel_scope.cancel()
