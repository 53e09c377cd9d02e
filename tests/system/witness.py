"""A wearer who reads captions while something else goes on: was the session disturbed?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from clients.glasses import Frame, Glasses
from clients.recordings import recordings
from tests.system.peers import RecordingApp, app, press_until_shown, wearer
from tests.system.server import Server, wait_until

PAUSE = bytes(16_000)


class Witness:
    """A phone and its captions app, in a thread with a loop of its own, so that it outlives a test's.

    Attributes:
      app: what the app heard.
      sent_frames: frames of the microphone that went out.
    """

    def __init__(self, server: Server, user: str, package: str) -> None:
        self.app = RecordingApp(package)
        self.sent_frames = 0
        self._server = server
        self._user = user
        self._phone: Glasses | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._ended = trio.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Speak and read until the end of the block."""
        thread = threading.Thread(target=trio.run, args=(self._live,))
        thread.start()
        try:
            wait_until(lambda: bool(self.app.captions) or not thread.is_alive())
            yield
        finally:
            if self._token is not None and thread.is_alive():
                self._token.run_sync_soon(self._ended.set)
            thread.join()

    def goes_on(self) -> None:
        """More is heard and read, and nothing of the session ever had to be made again."""
        frames, captions = self.app.audio_frames, len(self.app.captions)
        wait_until(lambda: self.app.audio_frames > frames + 1 and len(self.app.captions) > captions)
        assert self._phone is not None
        assert 1 == self._phone.connections
        assert (["session_request"], 1, []) == (self.app.webhooks, len(self.app.started), self.app.stopped)

    async def _live(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with app(self._server, self.app), wearer(self._server, self._user) as self._phone:
            await self._phone.start_app(self.app.package_name)
            await press_until_shown(self._phone, "witness")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._speak, self._phone)
                await self._ended.wait()
                nursery.cancel_scope.cancel()

    async def _speak(self, phone: Glasses) -> None:
        def note(frame: Frame) -> None:
            assert frame.was_sent
            self.sent_frames += 1

        while True:
            for recording in recordings():
                await phone.play(recording.pcm + PAUSE, on_frame=note)
