"""A small app SDK on trio, in the manner of the official `@mentra/sdk`.

    server = AppServer("org.example.captions", api_key, port=7010)

    @server.handler
    async def on_session(session, session_id, user_id):
        session.events.on_transcription(lambda heard: session.layouts.show_text_wall(heard.text))

    trio.run(server.run)

Read `server.py` (webhooks), `session.py` (the connection and its rules), `events.py` (what can be heard),
`layouts.py` (what can be shown), `rest.py` (what can be kept, and other calls).
"""

from __future__ import annotations

from clients.app_sdk.errors import CloudError
from clients.app_sdk.events import Events, Handler, Unsubscribe
from clients.app_sdk.layouts import Layouts
from clients.app_sdk.rest import Rest, Storage
from clients.app_sdk.server import AppServer
from clients.app_sdk.session import AppSession, Ending

__all__ = [
    "AppServer",
    "AppSession",
    "CloudError",
    "Ending",
    "Events",
    "Handler",
    "Layouts",
    "Rest",
    "Storage",
    "Unsubscribe",
]
