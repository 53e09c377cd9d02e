"""The media process: peers of aiortc behind two pipes (`protocols.media_process`).

It is exec'd as `python -P -m adapters.webrtc.media_worker`, by the server and by the simulated phone. It
takes messages from descriptor 0 and writes them to descriptor 1; what libraries print goes to standard error.
It ends when its pipe closes, so it never outlives who started it, and it leaves Ctrl-C to them.

What it writes never waits for a reader that is slow: audio past 256 KiB is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import Any, Final

from protocols import media_process as wire
from protocols.media_process import Configure, FromMedia, ToMedia
from protocols.pipe_frames import PipeReader

from . import ice, opus
from .peer import Peer

MOST_AUDIO_BYTES: Final = 256 * 1024
MOST_BYTES: Final = 8 * 1024 * 1024
_TROUBLE_S: Final = 1.0
_GOODBYE_S: Final = 1.0


class Outlet:
    """The way out.

    Attributes:
      dropped: frames of audio that there was no room for.
    """

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self.dropped = 0
        self._transport = transport

    def tell(self, message: FromMedia) -> None:
        waiting = self._transport.get_write_buffer_size()
        if waiting > MOST_AUDIO_BYTES and isinstance(message, wire.Heard):
            self.dropped += 1
        elif waiting > MOST_BYTES:
            os._exit(1)  # nobody reads: whoever started this process has given it up
        else:
            self._transport.write(wire.pack(message))


class Worker(asyncio.Protocol):
    """Takes messages and keeps the peers.

    Attributes:
      ended: done when the pipe is closed, or what comes through it is nonsense.
    """

    def __init__(self, outlet: Outlet) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._outlet = outlet
        self._reader = PipeReader()
        self._limits = Configure()
        self._peers: dict[int, tuple[Peer, asyncio.Task[None]]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._trouble_at = float("-inf")

    def data_received(self, data: bytes) -> None:
        try:
            for payload in self._reader.feed(data):
                self._take(wire.to_media(payload))
        except Exception as error:  # whoever started this process is broken
            self._end(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)

    def trouble(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A mistake in a task or a callback that nobody waits for."""
        now = loop.time()
        if now - self._trouble_at >= _TROUBLE_S:
            self._trouble_at = now
            error = context.get("exception")
            self._outlet.tell(wire.Trouble(f"{context.get('message')}: {error!r}"[:300]))

    async def end_peers(self) -> None:
        """Say goodbye to all of them, within a second."""
        tasks = [task for _, task in self._peers.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_GOODBYE_S)

    def _end(self, error: Exception | None) -> None:
        if not self.ended.done():
            if error is None:
                self.ended.set_result(None)
            else:
                self.ended.set_exception(error)

    def _take(self, message: ToMedia) -> None:
        match message:
            case wire.Ping():
                self._outlet.tell(wire.Pong(number=message.number, dropped=self._outlet.dropped))
            case wire.Configure():
                self._limits = message
                self._outlet.tell(wire.Ready())
            case wire.Open():
                self._open(message)
            case wire.Close():
                self._close(message.peer)
            case _:
                self._obey(message)

    def _obey(
        self, message: wire.MakeOffer | wire.TakeOffer | wire.TakeAnswer | wire.TakeCandidate | wire.Speak
    ) -> None:
        found = self._peers.get(message.peer)
        if found is None:
            return  # it has ended meanwhile, and has told so
        if isinstance(message, wire.Speak):
            found[0].speak(message.pcm)
        else:
            found[0].obey(message)

    def _open(self, request: wire.Open) -> None:
        if len(self._peers) >= self._limits.most_peers:
            self._outlet.tell(wire.Failed(request.peer, "busy", f"{len(self._peers)} peers are open"))
            return
        peer = Peer(request, self._limits, self._outlet.tell)
        task = asyncio.create_task(peer.run())
        self._peers[request.peer] = (peer, task)
        task.add_done_callback(lambda _: self._peers.pop(request.peer, None))

    def _close(self, number: int) -> None:
        found = self._peers.pop(number, None)
        if found is not None:
            task = found[1]
            task.cancel()
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def serve(requests: int, answers: int) -> None:
    """Serve until the pipe of the requests closes."""
    loop = asyncio.get_running_loop()
    opus.library()
    ice.install()
    writing, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(answers, "wb"))
    outlet = Outlet(writing)
    worker = Worker(outlet)
    loop.set_exception_handler(worker.trouble)
    await loop.connect_read_pipe(lambda: worker, os.fdopen(requests, "rb"))
    try:
        await worker.ended
    finally:
        await worker.end_peers()
        os._exit(0)  # a thread of a decoder that still runs would keep the process


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable()
    requests, answers = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    asyncio.run(serve(requests, answers))


if __name__ == "__main__":
    main()
