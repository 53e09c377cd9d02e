"""The benches' raw driver beside the real clients, at N = 10: what one measures the others live through."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import trio

from bench import relay
from bench._load import FRAME_BYTES, FRAME_PERIOD_S
from clients.app_sdk import AppServer, AppSession
from clients.glasses import Glasses
from tests.system.server import Server

SESSIONS = 10
SECONDS = 3.0
PACKAGE = "org.example.counter"


class Counter(AppServer):
    """Counts frames by session."""

    def __init__(self) -> None:
        super().__init__(PACKAGE, "key")
        self.frames: dict[str, int] = {}

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        def count(pcm: bytes) -> None:
            assert FRAME_BYTES == len(pcm)
            self.frames[session_id] = self.frames.get(session_id, 0) + 1

        session.events.on_audio_chunk(count)


async def test_the_driver_and_the_clients_meet_the_same_server(tmp_path: Path) -> None:
    options = Namespace(seconds=SECONDS, warm_up=2.0)
    driven = await trio.to_thread.run_sync(lambda: relay.measure(SESSIONS, options, seed=1))
    with Server.start(tmp_path) as server:
        async with trio.open_nursery() as nursery:
            app = Counter()
            await nursery.start(app.run)
            await server.add_app(PACKAGE, app.url, api_key="key")
            phones = [Glasses(server.url, server.token(f"user{i}@example.org")) for i in range(SESSIONS)]
            for phone in phones:
                nursery.start_soon(phone.run)
            for phone in phones:
                await phone.wait_for(lambda glasses: glasses.is_connected, timeout_s=30)
                await phone.start_app(PACKAGE)
            for phone in phones:
                await phone.wait_for(lambda glasses: glasses.is_microphone_on, timeout_s=30)
            sent: list[int] = []

            async def stream(phone: Glasses) -> None:
                sent.append(await phone.play(bytes(int(SECONDS * 32_000))))

            async with trio.open_nursery() as streaming:
                for phone in phones:
                    streaming.start_soon(stream, phone)
            with trio.fail_after(30):
                while sum(app.frames.values()) < sum(sent):  # noqa: ASYNC110 - counted in a callback
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()

    frames = SESSIONS * SECONDS / FRAME_PERIOD_S
    assert frames == sum(sent) == sum(app.frames.values()), "the clients: everything, one for one"
    assert (0, 0) == (driven["lost"], driven["no display"])
    assert 0 == driven["disorder"]
    assert driven["presses"] >= SESSIONS, "and displays came back"
    assert driven["frames"] >= frames
