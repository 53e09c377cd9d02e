"""Notes: the button keeps the last sentence that was said, raising the head shows what is kept.

The cloud keeps them, in the app's simple storage of the wearer: they are there again when the app was
stopped, when this program was restarted, and on another machine with the same key.
"""

from __future__ import annotations

import json
import os

import trio

from clients.app_sdk import AppServer, AppSession, CloudError
from protocols.from_phone import ButtonPress, HeadPosition
from protocols.transcription import TranscriptionData

PACKAGE = "org.example.notes"
PORT = 7012
KEY = "notes"  # a list, as JSON
SHOWN = 3  # notes that fit on the lens
SHOWN_MS = 5_000


class NotesApp(AppServer):
    """Needs the permission MICROPHONE."""

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        notes: list[str] = json.loads(await session.storage.get(KEY) or "[]")
        heard = ""

        def listen(said: TranscriptionData) -> None:
            nonlocal heard
            if said.is_final:
                heard = said.text

        async def keep(press: ButtonPress) -> None:
            nonlocal heard
            if press.press_type == "long":
                await put([], "all notes are gone")
            elif heard:
                note, heard = heard, ""
                await put([*notes, note], f"kept: {note}")
            else:
                session.layouts.show_text_wall("say something first", SHOWN_MS)

        async def put(changed: list[str], told: str) -> None:
            try:
                await session.storage.set(KEY, json.dumps(changed))
            except (CloudError, OSError) as error:
                told = f"not kept: {error}"
            else:
                notes[:] = changed
            session.layouts.show_text_wall(told, SHOWN_MS)

        def read(head: HeadPosition) -> None:
            if head.position == "up":
                session.layouts.show_text_wall("\n".join(notes[-SHOWN:]) or "no notes yet", SHOWN_MS)

        session.events.on_transcription(listen)
        session.events.on_button_press(keep)
        session.events.on_head_position(read)
        session.layouts.show_text_wall(f"Notes are on: {len(notes)} kept", SHOWN_MS)


if __name__ == "__main__":
    trio.run(NotesApp(PACKAGE, os.environ["API_KEY"], port=int(os.environ.get("PORT", PORT))).run)
