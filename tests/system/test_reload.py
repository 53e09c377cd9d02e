"""`glasshouse reload`: another server in the place of the one that serves, with every connection."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from adapters.listener.reload import ReloadOutcome, request_reload
from clients.app_sdk import AppServer, AppSession
from clients.glasses import Glasses
from protocols.from_phone import ButtonPress
from tests.adapters.websocket.peers import REQUEST, TEXT, RawPeer, frame
from tests.system.peers import dialled, wearer
from tests.system.server import PATIENCE_S, Server, children, eventually, is_alive, run

CAPTIONS, NOTES = "org.example.captions", "org.example.notes"
WEARERS = ("ada@example.org", "bob@example.org", "eve@example.org")
# A busy machine is no reason to shed audio here: the start of a second server is a second of a core.
SETTINGS = (
    "display.boot_screen_s=0.1",
    "display.throttle_s=0",
    "speech_provider=none",
    "overload.enter_s=60",
)
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


async def test_command_says_how_it_went(server: Server) -> None:
    before = server.child

    done = await trio.to_thread.run_sync(run, server.data, "reload")

    assert 0 == done.returncode, done.stderr
    assert re.fullmatch(
        rf"reloaded in \d+\.\d s: process {server.child} serves, with every connection\n", done.stdout
    )
    assert before != server.child
    assert 200 == (await server.request("GET", "/health")).status


async def test_reload_without_a_keeper_says_so(tmp_path: Path) -> None:
    failed = await trio.to_thread.run_sync(run, tmp_path, "reload")

    assert 1 == failed.returncode
    assert f"no keeper answers on {tmp_path}" in failed.stderr


async def test_new_server_that_cannot_start_leaves_everything_as_it_was(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('speech_provider = ["none"]\n[display]\nboot_screen_s = 0.1\nthrottle_s = 0\n')
    with Server.start(tmp_path, "overload.enter_s=60", config=settings) as server:
        async with crowd(server) as everybody:
            before = server.child
            settings.write_text('log_level = "loud"\n')
            outcome = await reload(server)
            await everybody.heard_more()
            await everybody.fall_silent()

            assert not outcome.is_done
            assert "the new server ended with status 78 (a wrong setting; the log says which)" == outcome.text
            assert before == server.child
            everybody.check()
            settings.write_text('speech_provider = ["none"]\n[display]\nthrottle_s = 0\n')
            assert (await reload(server)).is_done
            assert before != server.child


async def test_second_reload_during_one_is_refused(server: Server) -> None:
    outcomes: list[ReloadOutcome] = []

    async def note() -> None:
        outcomes.append(await reload(server))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(note)

    assert [False, False, True] == sorted(outcome.is_done for outcome in outcomes)
    assert {"a reload is under way"} == {outcome.text for outcome in outcomes if not outcome.is_done}


@asynccontextmanager
async def request_under_way(server: Server) -> AsyncIterator[trio.SocketStream]:
    """A request whose body is awaited: the server finishes it before it hands over, or waits 2 s for it."""
    async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
        await stream.send_all(
            b"POST /api/app-server/heartbeat HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: 2\r\n\r\n{"
        )
        await trio.sleep(0.1)  # let it begin
        yield stream


async def successor(server: Server) -> int:
    """The new server, once it stands and the present one comes to rest."""
    await eventually(lambda: server.logged("handing_over"))
    others = [child for child in children(server.process.pid) if child != server.child]
    (other,) = others
    return other


@pytest.mark.parametrize("is_stopped", [False, True])
async def test_new_server_killed_before_it_has_everything_takes_nothing_with_it(
    server: Server, is_stopped: bool
) -> None:
    """Killed before the first socket was passed; or, stopped in time, after all of them were."""
    async with crowd(server) as everybody, request_under_way(server):
        before = server.child
        outcomes: list[ReloadOutcome] = []

        async def note() -> None:
            outcomes.append(await reload(server))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(note)
            other = await successor(server)
            if is_stopped:
                os.kill(other, signal.SIGSTOP)
                await server.log_line("hand_over_told", "sessions=3", "sockets=9")
            os.kill(other, signal.SIGKILL)
        await everybody.heard_more()
        await everybody.fall_silent()

        (outcome,) = outcomes
        assert not outcome.is_done
        assert "the present server serves on: the other server" in outcome.text
        assert before == server.child
        everybody.check()
        assert (await reload(server)).is_done
    assert 1 == len(server.logged("not_handed_over"))


async def test_request_under_way_is_answered_by_the_server_that_has_it(server: Server) -> None:
    before = server.child
    answer = b""
    outcomes: list[ReloadOutcome] = []

    async def note() -> None:
        outcomes.append(await reload(server))

    async with request_under_way(server) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(note)
        await successor(server)
        await stream.send_all(b"}")
        async for chunk in stream:
            answer += chunk

    assert answer.startswith(b"HTTP/1.1 4")
    assert b'"success":false' in answer
    assert [True] == [outcome.is_done for outcome in outcomes]
    assert before != server.child
    assert [] == server.logged("requests_cut_off")


async def test_whoever_is_still_at_the_door_is_let_in_by_the_new_server(server: Server) -> None:
    """A half-sent request, an app's socket that has said nothing yet, and dials meanwhile."""
    statuses: list[int] = []

    async def dial() -> None:
        statuses.append((await server.request("GET", "/health")).status)

    async with (
        await trio.open_tcp_stream("127.0.0.1", server.port) as half,
        dialled(f"{server.url}/app-ws") as silent,
        trio.open_nursery() as nursery,
    ):
        await half.send_all(b"GET /health HT")
        await trio.sleep(0.2)
        for _ in range(20):
            nursery.start_soon(dial)
        assert (await reload(server)).is_done
        for _ in range(20):
            nursery.start_soon(dial)

        await half.send_all(b"TP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b"".join([bytes(chunk) async for chunk in half])
        await silent.send('{"type": "nonsense"}')
        with trio.fail_after(PATIENCE_S):
            said = await silent.receive()

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert "tpa_connection_error" in str(said)
    assert [200] * 40 == statuses


async def test_frame_cut_in_two_by_a_reload_is_heard_once(server: Server) -> None:
    """The phone's bytes stop in the middle of a masked frame, and go on in the next process."""
    app = NumberedApp(CAPTIONS)
    async with trio.open_nursery() as nursery:
        await nursery.start(app.run)
        await server.add_app(app.package_name, app.url)
        async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
            peer = RawPeer(stream)
            token = server.token(WEARERS[0]).encode()
            await peer.upgrade(REQUEST.replace(b"/glasses-ws", b"/glasses-ws?token=" + token))
            await peer.send(text({"type": "start_app", "packageName": CAPTIONS}))
            id = f"{WEARERS[0]}-{CAPTIONS}"
            await eventually(lambda: id in app.presses)
            while not app.presses[id]:
                await peer.send(press(-1))
                await trio.sleep(0.1)
            known = len(app.presses[id])
            data = press(1) + press(2)
            cut = len(press(1)) + len(press(2)) // 2
            await peer.send(data[:cut])
            await eventually(lambda: app.presses[id][known:] == [1])

            assert (await reload(server)).is_done
            await peer.send(data[cut:] + press(3))

            await eventually(lambda: app.presses[id][known:] == [1, 2, 3])
        nursery.cancel_scope.cancel()


async def test_killed_after_a_reload_it_is_started_again_and_sessions_go_on(server: Server) -> None:
    async with crowd(server) as everybody:
        assert (await reload(server)).is_done
        await everybody.fall_silent()
        os.kill(server.child, signal.SIGKILL)
        for talker in everybody.talkers:
            await talker.phone.wait_for(lambda glasses: glasses.connections == 2, timeout_s=PATIENCE_S)
        await eventually(lambda: len(server.logged("session_resumed")) == len(WEARERS))
        for app in everybody.apps:
            assert len(WEARERS) == len(app.started) == app.webhooks
    assert len(WEARERS) == len(server.logged("session_opened"))


def text(message: dict[str, str]) -> bytes:
    return frame(TEXT, json.dumps(message).encode())


def press(number: int) -> bytes:
    return text({"type": "button_press", "buttonId": str(number), "pressType": "short"})
