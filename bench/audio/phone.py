"""The phones of one row: each plays the recordings in real time, all at once, over one kind of transport."""

from __future__ import annotations

import json
import sys
import time

import trio

from bench.audio.heard import script
from clients.glasses import Frame, Glasses, MicrophoneOptions

READY_S = 20.0


async def main() -> None:
    order = json.loads(sys.stdin.readline())
    options = MicrophoneOptions(audio=order["audio"])
    phones = [
        Glasses(order["url"], token, microphone=options, now=time.monotonic) for token in order["tokens"]
    ]
    frames: list[list[Frame]] = [[] for _ in phones]
    pcm = script().pcm
    async with trio.open_nursery() as nursery:
        for phone in phones:
            nursery.start_soon(phone.run)
        for phone in phones:
            await phone.wait_for(lambda phone: phone.is_connected, timeout_s=READY_S)
            await phone.start_app(order["package"])
        for phone in phones:
            await phone.wait_for(lambda phone: phone.is_microphone_on, timeout_s=READY_S)
            await phone.wait_for(lambda phone: is_ready(phone, options), timeout_s=READY_S)
        print("ready", flush=True)
        sys.stdin.readline()
        async with trio.open_nursery() as playing:
            for phone, sent in zip(phones, frames, strict=True):
                playing.start_soon(play, phone, pcm, order["chunk_ms"], sent)
        nursery.cancel_scope.cancel()
    # Frames are due at the end of what they hold, so the first tells when the microphone began to hear.
    began = [sent[0].at - sent[0].size_bytes / 32_000 for sent in frames]
    print(json.dumps({"began": began}), flush=True)


def is_ready(phone: Glasses, options: MicrophoneOptions) -> bool:
    """Whether audio would go the way that is to be measured."""
    if options.audio == "webrtc":
        return phone.is_on_webrtc
    return phone.is_on_udp if options.audio == "udp" else True


async def play(phone: Glasses, pcm: bytes, chunk_ms: int, frames: list[Frame]) -> None:
    await phone.play(pcm, chunk_ms=chunk_ms, on_frame=frames.append)


if __name__ == "__main__":
    trio.run(main)
