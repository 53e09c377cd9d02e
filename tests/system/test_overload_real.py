"""A server that gets too little of its core: it says so, answers presses, and recovers.

Here the process is stopped and let go on again and again, which any machine can do at any load; how it fares
beside a competitor, and the figures, are `glasshouse bench overload`'s.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec
import trio

from clients.network import open_stream, request
from tests.system.peers import RecordingApp, app, press_until_shown, refusal, wearer
from tests.system.server import Server, eventually

PACKAGE = "org.example.listener"
ADA = "ada@example.org"
STOPPED_S, RUNNING_S = 0.4, 0.2


async def hold_back(process: int) -> None:
    """Give it a third of its time, until cancelled."""
    try:
        while True:
            os.kill(process, signal.SIGSTOP)
            await trio.sleep(STOPPED_S)
            os.kill(process, signal.SIGCONT)
            await trio.sleep(RUNNING_S)
    finally:
        os.kill(process, signal.SIGCONT)


async def health(server: Server) -> str:
    answer = await request("GET", f"{server.url}/health", connect=open_stream)
    status: str = msgspec.json.decode(answer.body)["status"]
    return status


async def test_an_overload_turns_newcomers_away_keeps_presses_and_is_over_soon(tmp_path: Path) -> None:
    with Server.start(
        tmp_path,
        "display.boot_screen_s=0.1",
        "overload.retry_after_s=3",
        "overload.enter_s=0",
        "overload.least_work=0",
        "overload.less_share=0.2",
        "overload.leave_s=0.5",
    ) as server:
        running = RecordingApp(PACKAGE)
        newcomer = f"{server.url}/glasses-ws?token={server.token('new@example.org')}"
        async with app(server, running), wearer(server, ADA) as phone, trio.open_nursery() as nursery:
            await phone.start_app(PACKAGE)
            await press_until_shown(phone, "calm")
            nursery.start_soon(phone.play, bytes(32_000 * 60))
            await eventually(lambda: running.audio_frames > 5)

            async with trio.open_nursery() as pressing:
                pressing.start_soon(hold_back, server.child)
                await server.log_line("overload_entered")
                while (status := await health(server)) == "ok":  # noqa: ASYNC110 - another process
                    await trio.sleep(0.05)
                refused = await refusal(newcomer)
                await press_until_shown(phone, "under pressure")
                while not await server.counter("audio_frames_shed"):  # noqa: ASYNC110 - another process
                    await trio.sleep(0.05)
                pressing.cancel_scope.cancel()
            await server.log_line("overload_left")
            async with wearer(server, "new@example.org"):
                after = await health(server)
            frames = running.audio_frames
            await eventually(lambda: running.audio_frames >= frames + 10)
            nursery.cancel_scope.cancel()

    body = msgspec.json.decode(refused.body)
    assert (503, "OVERLOADED", 3.0) == (refused.status, body["code"], body["retry_after"])
    assert ("overloaded", "ok") == (status, after)
    assert 1 == len(running.started)
