"""The app of one row: keeps every user's audio, and when each part of it came."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import trio

from clients.app_sdk import AppServer, AppSession


class Ear(AppServer):
    """Attributes:
    heard: by user, the audio.
    arrivals: by user, when each chunk came (CLOCK_MONOTONIC) and how long it was by then with it.
    """

    def __init__(self, package: str, api_key: str) -> None:
        super().__init__(package, api_key)
        self.heard: dict[str, bytearray] = {}
        self.arrivals: dict[str, list[tuple[float, int]]] = {}

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        heard = self.heard[user_id] = bytearray()
        arrivals = self.arrivals[user_id] = []

        def hear(pcm: bytes) -> None:
            heard.extend(pcm)
            arrivals.append((time.monotonic(), len(heard)))

        session.events.on_audio_chunk(hear)


def main() -> None:
    order = json.loads(sys.stdin.readline())
    ear = Ear(order["package"], order["api_key"])
    trio.run(serve, ear)
    for user, heard in ear.heard.items():
        Path(order["folder"], f"{user}.pcm").write_bytes(heard)
        Path(order["folder"], f"{user}.json").write_text(json.dumps(ear.arrivals[user]))


async def serve(ear: Ear) -> None:
    """Until the next line."""
    async with trio.open_nursery() as nursery:
        await nursery.start(ear.run)
        print(ear.url, flush=True)
        await trio.to_thread.run_sync(sys.stdin.readline)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    main()
