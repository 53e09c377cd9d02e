"""An app server in a process of its own, to be killed: `python -m tests.system.lone_app PORT PACKAGE KEY`.

It tells on standard output what it sees, one JSON object a line, each with the machine's monotonic time: that
it is ready, each webhook, and the first frame of audio of each session.
"""

from __future__ import annotations

import json
import sys
import time

import msgspec
import trio

from clients.app_sdk import AppServer, AppSession


class LoneApp(AppServer):
    async def handle(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if path == "/webhook":
            request = msgspec.json.decode(body)
            tell(request["type"], request["sessionId"])
        return await super().handle(method, path, body)

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        heard = False

        def hear(frame: bytes) -> None:
            nonlocal heard
            if not heard:
                heard = True
                tell("audio", session_id)

        session.events.on_audio_chunk(hear)


def tell(event: str, session_id: str = "") -> None:
    print(json.dumps({"event": event, "session": session_id, "at": time.monotonic()}), flush=True)


async def main(port: int, package: str, key: str) -> None:
    app = LoneApp(package, key, port=port)
    async with trio.open_nursery() as nursery:
        await nursery.start(app.run)
        tell("ready")


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), sys.argv[2], sys.argv[3])
