"""Notes: the button keeps the last sentence that was said, raising the head shows what is kept.

Notes are kept per user while this program runs, so a user who stops the app and starts it again finds them.
Nothing is written to disk.
"""

from __future__ import annotations

import os
from typing import Any

import trio

from clients.app_sdk import AppServer, AppSession
from protocols.from_phone import ButtonPress, HeadPosition
from protocols.transcription import TranscriptionData

PACKAGE = "org.example.notes"
PORT = 7012
SHOWN = 3  # notes that fit on the lens
SHOWN_MS = 5_000


class NotesApp(AppServer):
    """Needs the permission MICROPHONE. `notes` has each user's."""

    def __init__(self, package_name: str, api_key: str, **options: Any) -> None:
        super().__init__(package_name, api_key, **options)
        self.notes: dict[str, list[str]] = {}

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        notes = self.notes.setdefault(user_id, [])
        heard = ""

        def listen(said: TranscriptionData) -> None:
            nonlocal heard
            if said.is_final:
                heard = said.text

        def keep(press: ButtonPress) -> None:
            nonlocal heard
            if heard:
                notes.append(heard)
                heard = ""
                session.layouts.show_text_wall(f"kept: {notes[-1]}", SHOWN_MS)
            else:
                session.layouts.show_text_wall("say something first", SHOWN_MS)

        def read(head: HeadPosition) -> None:
            if head.position == "up":
                session.layouts.show_text_wall("\n".join(notes[-SHOWN:]) or "no notes yet", SHOWN_MS)

        session.events.on_transcription(listen)
        session.events.on_button_press(keep)
        session.events.on_head_position(read)


if __name__ == "__main__":
    trio.run(NotesApp(PACKAGE, os.environ["API_KEY"], port=PORT).run)
