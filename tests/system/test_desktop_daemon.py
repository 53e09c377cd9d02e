"""The daemon program against the real server: logins, kills of either side, cuts, two at once."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio

from config.daemon.board import read_board
from tests.system.desktop import ADA, Desk, all_gone
from tests.system.server import Server, eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("desktop")
    settings = ("desktop.test_endpoints=true", "desktop.login_interval_s=0.1", "desktop.ping_s=0.5")
    with Server.start(folder, *settings) as running:
        yield running


@pytest.fixture
def desk(server: Server, tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path, server) as one:
        yield one


async def _remove_all(desk: Desk) -> None:
    for daemon in (await desk.ask("GET", "/api/daemons"))["daemons"]:
        await desk.ask("DELETE", f"/api/daemons/{daemon['daemonId']}")


async def test_desktop_logs_in_by_a_code_and_runs_what_its_user_allows(desk: Desk) -> None:
    login = desk.begin("login", desk.server.url)
    try:
        assert login.stdout is not None
        said = ""
        while not (code := re.search(r"^    ([A-Z]{4}-[A-Z]{4})$", said, re.MULTILINE)):
            line = await trio.to_thread.run_sync(login.stdout.readline)
            assert line, said
            said += line
        core_token = desk.folder / "core"
        core_token.write_text(desk.server.token(ADA))
        approve = ("approve", code[1], "--server", desk.server.url, "--core-token-file", str(core_token))
        approved = await trio.to_thread.run_sync(partial(desk.run, *approve, "--yes"))
        assert (0, "study is logged in\n") == (approved.returncode, approved.stdout)
        rest, _ = await trio.to_thread.run_sync(login.communicate)
        assert f"logged in as study for {ADA}" in rest
        assert 0 == login.returncode
    finally:
        login.kill()
        login.wait()
    kept = msgspec.json.decode((desk.folder / "token.json").read_bytes())
    desk.token = kept["token"]
    assert desk.token not in said + rest + approved.stdout

    desk.start()
    await desk.online()
    agent_id = await desk.spawn("bash: echo from $PWD; echo ${GLASSHOUSE_DAEMON:-clean}", ".")
    asked = await desk.agent(agent_id, "needs_approval")
    assert "Run in bash: echo from" in asked["approval"]["title"]
    await eventually(lambda: (board := read_board(desk.folder / "status.json")) and board.agents)
    status = desk.run("status").stdout
    assert f"{agent_id}  needs_approval  bash  {desk.root}" in status
    assert f"desktop: study of {ADA} at {desk.server.url}\ndaemon: runs as process" in status
    assert "connection: online\nagents: 1 of 3\n" in status

    await desk.answer(agent_id, asked, "approve")
    done = await desk.agent(agent_id, "completed", "failed")
    assert "completed" == done["status"]
    assert f"from {desk.root}" in done["result"]
    assert "clean" in done["result"]
    await eventually(lambda: b'"is_over":true' in (desk.folder / "agents" / f"{agent_id}.json").read_bytes())
    assert f"{agent_id}  over  bash" in desk.run("list").stdout
    assert 0 == await trio.to_thread.run_sync(desk.stop)
    assert desk.token not in desk.log()
    assert "daemon: not running" in desk.run("status").stdout
    assert 0 == desk.run("reset", "--yes").returncode
    assert "not logged in" in desk.run("status").stdout
    await _remove_all(desk)


async def test_daemon_killed_in_mid_task_comes_back_and_says_what_became_of_it(desk: Desk) -> None:
    await desk.register()
    desk.start()
    await desk.online()
    agent_id = await desk.spawn("bash: echo begun; sleep 3600")
    await desk.agent(agent_id, "running")
    below = await eventually(desk.below)
    assert below

    desk.kill()
    desk.start()
    ended = await desk.agent(agent_id, "completed", "failed", "cancelled")
    await all_gone(below)

    assert "failed" == ended["status"]
    assert "bash cannot go on where it was" in ended["error"]
    again = await desk.spawn("bash: echo and again")
    assert "completed" == (await desk.agent(again, "completed", "failed"))["status"]
    await _remove_all(desk)


async def test_server_killed_in_mid_task_gets_the_true_result(desk: Desk) -> None:
    await desk.register()
    desk.start()
    await desk.online()
    gate = desk.root / "gate"
    os.mkfifo(gate)
    long = await desk.spawn(f"bash: read line < {gate}; echo the line was $line")
    short = await desk.spawn("bash: sleep 0.5; echo short")
    await desk.agent(long, "running")

    os.kill(desk.server.child, signal.SIGKILL)
    finished = await desk.agent(short, "completed", "failed")
    gate_descriptor = await trio.to_thread.run_sync(os.open, gate, os.O_WRONLY)
    os.write(gate_descriptor, b"true\n")
    os.close(gate_descriptor)
    ended = await desk.agent(long, "completed", "failed")

    assert "short" in finished["result"]
    assert "the line was true" in ended["result"]
    await _remove_all(desk)


async def test_newer_daemon_with_the_same_token_takes_over_and_a_removed_one_stops(
    desk: Desk, tmp_path: Path
) -> None:
    await desk.register()
    desk.start()
    await desk.online()
    (tmp_path / "other").mkdir()
    with Desk(tmp_path / "other", desk.server) as other:
        other.adopt(desk.token)
        other.start()
        await desk.logged("uplink_refused")
        assert "another daemon with the token of this desktop took over" in desk.log()
        await eventually(lambda: "connection: refused (another daemon" in desk.run("status").stdout)
        agent_id = await desk.spawn("bash: echo $PWD")
        done = await desk.agent(agent_id, "completed", "failed")
        assert str(other.root) in done["result"]

        await _remove_all(desk)
        await other.logged("uplink_refused")
        assert "log in again" in other.log()
        await desk.register()
        other.adopt(desk.token)
        await other.logged("uplink_online", 2)
    third = desk.run("start")
    assert (1, True) == (third.returncode, "another daemon runs on" in third.stderr)
    await _remove_all(desk)


@asynccontextmanager
async def _cuttable(url: str) -> AsyncIterator[tuple[str, trio.Event, trio.Event]]:
    """A way to the server that can be cut: what is under way is lost and nobody is told.

    Yields its URL, the event that cuts it, and the event that mends it.
    """
    cut, mended = trio.Event(), trio.Event()
    port = int(url.rpartition(":")[2])

    def is_cut() -> bool:
        return cut.is_set() and not mended.is_set()

    async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
        was_cut = False
        async for data in source:
            was_cut |= is_cut()
            if not was_cut:
                await sink.send_all(data)
        if not was_cut:
            await sink.send_eof()

    async def serve(near: trio.SocketStream) -> None:
        if is_cut():
            await mended.wait()
            return
        async with await trio.open_tcp_stream("127.0.0.1", port) as far:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(pump, near, far)
                    nursery.start_soon(pump, far, near)
            except* (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}", cut, mended
        nursery.cancel_scope.cancel()


async def test_network_that_is_cut_in_mid_task_loses_nothing(server: Server, tmp_path: Path) -> None:
    async with _cuttable(server.url) as (url, cut, mended):
        with Desk(tmp_path, server, server_url=url, silence_s=2.0) as desk:
            await desk.register()
            desk.start()
            await desk.online()
            agent_id = await desk.spawn("bash: sleep 1; echo from the dark")
            await desk.agent(agent_id, "running")
            cut.set()
            await desk.logged("uplink_offline")
            await desk.logged("daemon_agent_ended")
            mended.set()
            done = await desk.agent(agent_id, "completed", "failed")
            assert "from the dark" in done["result"]
            await desk.logged("uplink_online", 2)
            await _remove_all(desk)
