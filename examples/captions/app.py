"""Captions in two lines: what is being said below, the sentence before it above.

The interims of a sentence replace each other; its final stays as the upper line until the next one. The cloud
shows an app at most one display in 300 ms and always the newest, so there is nothing to slow down here.
"""

from __future__ import annotations

import os

import trio

from clients.app_sdk import AppServer, AppSession
from protocols.transcription import TranscriptionData

PACKAGE = "org.example.captions"
PORT = 7010


class CaptionsApp(AppServer):
    """Needs the permission MICROPHONE."""

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        before = ""

        def show(heard: TranscriptionData) -> None:
            nonlocal before
            session.layouts.show_double_text_wall(before, heard.text)
            if heard.is_final:
                before = heard.text

        session.events.on_transcription(show)
        session.layouts.show_text_wall("Captions are on")


if __name__ == "__main__":
    trio.run(CaptionsApp(PACKAGE, os.environ["API_KEY"], port=int(os.environ.get("PORT", PORT))).run)
