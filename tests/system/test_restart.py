"""What dies and what holds: the server killed, told to end, left behind by its keeper (DESIGN section 6)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from adapters.storage import open_sqlite
from clients.glasses import Glasses
from tests.system.peers import app, press_until_shown, wearer
from tests.system.server import PATIENCE_S, Server, descendants, eventually, is_alive, serving

ADA = "ada@example.org"
CAPTIONS, NOTES = "org.example.captions", "org.example.notes"
QUICK = ("display.boot_screen_s=0.1",)
DIALS = 50
SECOND = bytes(32_000)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server.start(tmp_path, *QUICK) as server:
        yield server


async def runs(phone: Glasses, *packages: str) -> None:
    """Wait until the phone's list says so."""
    await phone.wait_for(
        lambda glasses: glasses.is_connected and set(packages) == set(glasses.running_apps),
        timeout_s=PATIENCE_S,
    )


async def note_end(phone: Glasses, ends: list[str]) -> None:
    """How the present connection ends."""
    ended = await phone.wait_for(
        lambda glasses: glasses.last_end is not None and not glasses.is_connected, timeout_s=PATIENCE_S
    )
    assert ended
    ends.append(str(phone.last_end))


async def stored_list(data: Path) -> tuple[str, ...]:
    """The apps that a start would bring back."""
    store = await open_sqlite(data)
    try:
        user = await store.find_user(ADA)
    finally:
        await store.aclose()
    assert user is not None
    return user.running_apps


async def test_killed_server_refuses_no_dial_and_takes_everybody_back_as_they_were(server: Server) -> None:
    async with (
        app(server, CAPTIONS) as captions,
        app(server, NOTES) as notes,
        wearer(server, ADA) as phone,
    ):
        await phone.start_app(CAPTIONS)
        await phone.start_app(NOTES)
        await runs(phone, CAPTIONS, NOTES)
        await press_until_shown(phone, "before")
        await server.has_kept(ADA, "pressed before")
        statuses: list[int] = []

        async def dial() -> None:
            statuses.append((await server.request("GET", "/health")).status)

        killed, shown = server.child, len(phone.lens.history)
        os.kill(killed, signal.SIGKILL)
        async with trio.open_nursery() as nursery:
            for _ in range(DIALS):
                nursery.start_soon(dial)

        assert [200] * DIALS == statuses
        assert killed != server.child
        await phone.wait_for(lambda glasses: len(glasses.lens.history) > shown, timeout_s=PATIENCE_S)
        assert "pressed before" == phone.lens.history[shown].text, "what was on the lens is shown again"
        await runs(phone, CAPTIONS, NOTES)
        await eventually(lambda: len(server.logged("app_running")) == 4)
        heard = captions.audio_frames
        await phone.play(SECOND)
        await eventually(lambda: captions.audio_frames > heard)
        await press_until_shown(phone, "after")
        assert 1 == len(captions.started) == len(notes.started), "no `onSession` ran again"
        assert ["session_request"] == captions.webhooks == notes.webhooks
        (opened,) = server.logged("session_opened")
        (resumed,) = server.logged("session_resumed")
        assert opened.split("incarnation=")[1] == resumed.split("incarnation=")[1]
    assert "keeper: server was ended by signal 9; next start in 0 s" in server.log()


async def test_told_to_end_it_says_goodbye_within_five_seconds_and_keeps_the_running_list(
    server: Server, tmp_path: Path
) -> None:
    async with app(server, CAPTIONS) as captions, wearer(server, ADA) as phone:
        await phone.start_app(CAPTIONS)
        await runs(phone, CAPTIONS)
        (before,) = captions.sessions.values()
        ends: list[str] = []
        before.events.on_disconnected(ends.append)

        began = time.monotonic()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(note_end, phone, ends)
            server.process.send_signal(signal.SIGTERM)
            status = await trio.to_thread.run_sync(server.process.wait)
            took_s = time.monotonic() - began

        assert 0 == status
        assert took_s < 5.0
        assert (CAPTIONS,) == await stored_list(server.data)
        await eventually(lambda: len(ends) == 2)
        assert all("closed with 1012 'Server restarting'" in end for end in ends)

        # The next one, on the same data and port, finds everything as it was.
        async with serving(tmp_path, *QUICK, port=server.port) as following:
            await runs(phone, CAPTIONS)
            await following.log_line("app_running")
            await press_until_shown(phone, "again")
        assert 1 == len(captions.started)
        assert ["session_request"] == captions.webhooks


async def test_killed_keeper_takes_all_along_and_the_next_one_takes_over(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, *QUICK, "pocketsphinx.prestart=1") as first,
        app(first, CAPTIONS) as captions,
        wearer(first, ADA) as phone,
    ):
        await phone.start_app(CAPTIONS)
        await runs(phone, CAPTIONS)
        await eventually(lambda: len(descendants(first.process.pid)) >= 2)
        processes = descendants(first.process.pid)

        began = time.monotonic()
        first.process.kill()
        await eventually(lambda: not any(map(is_alive, processes)))
        gone_s = time.monotonic() - began
        async with serving(tmp_path, *QUICK, port=first.port) as second:
            await runs(phone, CAPTIONS)
            await press_until_shown(phone, "again")

        assert gone_s < 5.0
        assert first.url == second.url
        assert 1 == len(captions.started)
        assert ["session_request"] == captions.webhooks
