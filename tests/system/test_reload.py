"""`glasshouse reload`: another server in the place of the one that serves, with every connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from adapters.listener.reload import ReloadOutcome, request_reload
from clients.app_sdk import AppServer, AppSession
from clients.glasses import Glasses
from protocols.from_phone import ButtonPress
from tests.system.peers import wearer
from tests.system.server import PATIENCE_S, Server, eventually, is_alive

CAPTIONS, NOTES = "org.example.captions", "org.example.notes"
WEARERS = ("ada@example.org", "bob@example.org", "eve@example.org")
SETTINGS = ("display.boot_screen_s=0.1", "display.throttle_s=0", "speech_provider=none")
FRAME_BYTES = 3200
FRAME_EVERY_S = 0.02
PRESS_EVERY_S = 0.02
PROBE = "-1"


class NumberedApp(AppServer):
    """An app that writes down each frame's and each press's number, and shows the press's.

    Attributes:
      frames, presses: numbers, by session id, in the order they came.
      started: session ids, one for each run of `on_session`.
      ends: how sockets ended.
    """

    def __init__(self, package_name: str) -> None:
        super().__init__(package_name, "key")
        self.frames: dict[str, list[int]] = {}
        self.presses: dict[str, list[int]] = {}
        self.started: list[str] = []
        self.ends: list[str] = []
        self.webhooks = 0

    async def handle(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        self.webhooks += path == "/webhook"
        return await super().handle(method, path, body)

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        frames: list[int] = []
        presses: list[int] = []

        def show_press(press: ButtonPress) -> None:
            assert press.button_id is not None
            presses.append(int(press.button_id))
            if self.package_name == CAPTIONS and press.button_id != PROBE:
                session.layouts.show_text_wall(press.button_id)

        self.started.append(session_id)
        self.frames[session_id], self.presses[session_id] = frames, presses
        session.events.on_disconnected(self.ends.append)
        session.events.on_audio_chunk(lambda frame: frames.append(int.from_bytes(frame[:4], "big")))
        session.events.on_button_press(show_press)


class Talker:
    """A wearer who speaks and presses without a pause, each time with the next number."""

    def __init__(self, user: str, phone: Glasses) -> None:
        self.user = user
        self.phone = phone
        self.frames = 0
        self.presses = 0
        self._is_silent = trio.CancelScope()

    async def talk(self) -> None:
        with self._is_silent:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._speak)
                nursery.start_soon(self._press)

    def fall_silent(self) -> None:
        self._is_silent.cancel()

    def shown(self) -> list[int]:
        """The numbers that reached the lens."""
        return [int(shown.text) for shown in self.phone.lens.history if shown.text and shown.text.isdigit()]

    async def _speak(self) -> None:
        while True:
            with trio.CancelScope(shield=True):  # a number that was taken is sent
                frame = self.frames.to_bytes(4, "big") + bytes(FRAME_BYTES - 4)
                assert await self.phone.play(frame, realtime=False)
                self.frames += 1
            await trio.sleep(FRAME_EVERY_S)

    async def _press(self) -> None:
        while True:
            with trio.CancelScope(shield=True):
                assert await self.phone.press_button(str(self.presses))
                self.presses += 1
            await trio.sleep(PRESS_EVERY_S)


class Crowd:
    """Wearers who talk, with two apps each, and what everybody has received."""

    def __init__(self, server: Server, apps: list[NumberedApp], talkers: list[Talker]) -> None:
        self.server = server
        self.apps = apps
        self.talkers = talkers

    async def heard_more(self, count: int = 10) -> None:
        """Wait until every app has heard so much more of every wearer."""
        everything = [heard for app in self.apps for heard in (*app.frames.values(), *app.presses.values())]
        wanted = [len(heard) + count for heard in everything]
        await eventually(
            lambda: all(len(heard) >= want for heard, want in zip(everything, wanted, strict=True))
        )

    def has_arrived(self) -> bool:
        """Whether the last that was said has been heard, and answered on the lens."""
        return all(
            talker.shown()[-1:] == [talker.presses - 1]
            and all(
                len(app.frames[f"{talker.user}-{app.package_name}"]) >= talker.frames for app in self.apps
            )
            for talker in self.talkers
        )

    async def fall_silent(self) -> None:
        """Let the last message arrive."""
        for talker in self.talkers:
            talker.fall_silent()
        await eventually(self.has_arrived)

    def check(self) -> None:
        """Nothing was lost, doubled or turned round, and nobody noticed anything."""
        for talker in self.talkers:
            assert (1, None) == (talker.phone.connections, talker.phone.last_end)
            assert list(range(talker.presses)) == talker.shown()
            for app in self.apps:
                id = f"{talker.user}-{app.package_name}"
                assert list(range(talker.frames)) == app.frames[id]
                presses = [number for number in app.presses[id] if number != int(PROBE)]
                assert list(range(talker.presses)) == presses
        for app in self.apps:
            assert sorted(f"{t.user}-{app.package_name}" for t in self.talkers) == sorted(app.started)
            assert [] == app.ends
            assert len(self.talkers) == app.webhooks


@asynccontextmanager
async def crowd(server: Server) -> AsyncIterator[Crowd]:
    """Everybody talks, and has been heard."""
    apps = [NumberedApp(CAPTIONS), NumberedApp(NOTES)]
    async with AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())
        for app in apps:
            await nursery.start(app.run)
            await server.add_app(app.package_name, app.url)
        talkers = [Talker(user, await stack.enter_async_context(wearer(server, user))) for user in WEARERS]
        for talker in talkers:
            for app in apps:
                await talker.phone.start_app(app.package_name)
        for talker in talkers:
            await talker.phone.wait_for(lambda glasses: glasses.is_microphone_on, timeout_s=PATIENCE_S)
            await everybody_listens(talker, apps)
            nursery.start_soon(talker.talk)
        everybody = Crowd(server, apps, talkers)
        await everybody.heard_more()
        yield everybody
        nursery.cancel_scope.cancel()


async def everybody_listens(talker: Talker, apps: list[NumberedApp]) -> None:
    def all_listen() -> bool:
        return all(app.presses.get(f"{talker.user}-{app.package_name}") for app in apps)

    while not all_listen():
        await talker.phone.press_button(PROBE)
        await trio.sleep(0.1)


async def reload(server: Server) -> ReloadOutcome:
    with trio.fail_after(PATIENCE_S):
        return await request_reload(str(server.data))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server.start(tmp_path, *SETTINGS) as server:
        yield server


async def test_nothing_is_lost_doubled_or_closed_by_three_reloads_in_a_row(server: Server) -> None:
    async with crowd(server) as everybody:
        children = [server.child]
        for _ in range(3):
            outcome = await reload(server)
            assert outcome.is_done, outcome.text
            children.append(server.child)
            await everybody.heard_more()
        await everybody.fall_silent()

        everybody.check()

    assert 4 == len(set(children))
    assert [str(child) for child in children[1:]][-1] == outcome.text
    assert not any(map(is_alive, children[:-1]))
    assert len(WEARERS) == len(server.logged("session_opened"))
    assert 3 * len(WEARERS) == len(server.logged("session_taken_over"))
    assert [] == server.logged("session_resumed")
