"""The demo's app: what is heard is shown. It also keeps the times, for the summary."""

from __future__ import annotations

from collections.abc import Callable

import trio

from clients.app_sdk import AppServer, AppSession
from clients.demo.timing import Heard, Said
from protocols.transcription import TranscriptionData

PACKAGE = "org.glasshouse.captions"
NAME = "Live Captions"
GREETING = "Captions are on"


class CaptionsApp(AppServer):
    """Shows every transcript on the lens.

    Args:
      now: the clock of the whole demo.

    Attributes:
      frames_at: when each audio frame came.
      finals: every final text, with its time.
      shown: every text handed to the layouts, with its time.
    """

    def __init__(self, api_key: str, *, now: Callable[[], float]) -> None:
        super().__init__(PACKAGE, api_key)
        self.frames_at: list[float] = []
        self.finals: list[Heard] = []
        self.shown: list[Said] = []
        self._now = now
        self._frame_came = trio.Event()

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        session.events.on_transcription(lambda heard: self._transcribed(session, heard))
        session.events.on_audio_chunk(self._frame_arrived)
        self._show(session, GREETING)

    async def wait_for_frames(self, count: int) -> None:
        """Return when `count` frames have come; whoever calls sets the deadline."""
        while len(self.frames_at) < count:
            await self._frame_came.wait()

    def _frame_arrived(self, _: bytes) -> None:
        self.frames_at.append(self._now())
        self._frame_came.set()
        self._frame_came = trio.Event()

    def _transcribed(self, session: AppSession, heard: TranscriptionData) -> None:
        if heard.is_final:
            self.finals.append(Heard(heard.text, self._now()))
        self._show(session, heard.text)

    def _show(self, session: AppSession, text: str) -> None:
        self.shown.append(Said(text, self._now()))
        session.layouts.show_text_wall(text)
