"""Counts presses of the glasses' button; a long press begins again at zero.

The count lives in the session's handlers. It outlives a lost socket, since the same handlers go on after a
reconnect, and ends with the app server.
"""

from __future__ import annotations

import os

import trio

from clients.app_sdk import AppServer, AppSession
from protocols.from_phone import ButtonPress

PACKAGE = "org.example.counter"
PORT = 7011


class ButtonCounterApp(AppServer):
    """Needs no permission: a button is nobody's secret."""

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        count = 0

        def pressed(press: ButtonPress) -> None:
            nonlocal count
            count = 0 if press.press_type == "long" else count + 1
            session.layouts.show_reference_card("Pressed", str(count))

        session.events.on_button_press(pressed)
        session.layouts.show_reference_card("Press the button", "a long press begins again")


if __name__ == "__main__":
    trio.run(ButtonCounterApp(PACKAGE, os.environ["API_KEY"], port=int(os.environ.get("PORT", PORT))).run)
