"""What can go wrong around a daemon, and what its user gets to hear."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio

from actors.desktop_daemon import life
from actors.desktop_daemon.messages import AgentRecord
from actors.desktop_daemon.ports import Done, Output, Ready, Working
from protocols.desktop import frames
from runtime.testing import World
from tests.actors.desktop_daemon.daemon_world import SERVER_MS, Desktop, ScriptedServer, asking, play, until


def _record(desktop: Desktop, agent_id: str) -> AgentRecord:
    return msgspec.json.decode(desktop.disk[agent_id], type=AgentRecord)


# -- killed with -9 -----------------------------------------------------------------------------------------


def test_agent_that_cannot_be_resumed_ends_with_the_reason() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        desktop.allowed = ("bash",)
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1", "bash: make")
            await desktop.started("agent_1")
            desktop.kill()
        async with desktop.daemon():
            complete = await server.complete("agent_1")

        assert "failed" == complete.status
        assert "bash cannot go on where it was" in (complete.error or "")
        assert 1 == len(desktop.terminals.runs["agent_1"])

    play(scenario)


def test_agent_that_was_never_acknowledged_is_started_once_when_it_is_asked_for_again() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        desktop.write_s = 1.0
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            await trio.sleep(0.5)
            desktop.kill()
        assert [] == server.acks
        assert {} == desktop.terminals.runs
        desktop.write_s = 0.001
        async with desktop.daemon():
            await until(lambda: len(server.hellos) == 2)
            assert () == server.hellos[-1].agents
            server.spawn("agent_1")
            assert "started" == (await server.ack("agent_1")).status
            await desktop.started("agent_1")

        assert 1 == len(desktop.terminals.runs["agent_1"])

    play(scenario)


def test_result_that_was_not_delivered_is_delivered_by_the_next_daemon() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            run = await desktop.started("agent_1")
            server.is_cut = True
            run.emit(Done("the true result"))
            await trio.sleep(5)
            desktop.kill()
        server.is_cut = False
        async with desktop.daemon():
            complete = await server.complete("agent_1")
            assert ("completed", "the true result") == (complete.status, complete.result)
            await until(lambda: _record(desktop, "agent_1").is_over)
        assert 1 == len(desktop.terminals.runs["agent_1"])
        async with desktop.daemon():
            await trio.sleep(60)
        assert 1 == len(server.completes["agent_1"])

    play(scenario)


def test_agent_that_is_cut_off_again_and_again_ends_at_last() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            await desktop.started("agent_1")
            desktop.kill()
        for lives in range(2, 6):
            async with desktop.daemon():
                await until(lambda count=lives: len(desktop.terminals.runs["agent_1"]) == count)  # type: ignore[misc]
                desktop.kill()
        async with desktop.daemon():
            complete = await server.complete("agent_1")

        assert "failed" == complete.status
        assert "cut off 5 times" in (complete.error or "")
        assert 5 == len(desktop.terminals.runs["agent_1"])

    play(scenario)


def test_daemon_that_is_stopped_in_order_resumes_too() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            first = await desktop.started("agent_1")
        assert first.was_killed
        assert "agent_1" not in server.completes
        async with desktop.daemon():
            await until(lambda: len(desktop.terminals.runs["agent_1"]) == 2)

    play(scenario)


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\xfe", b'{"order": 1}', b"[" * 100_000])
def test_document_that_cannot_be_read_is_nobody_elses_trouble(body: bytes) -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        desktop.disk["agent_0"] = body
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            assert "started" == (await server.ack("agent_1")).status
        assert [{"key": "agent_0"}] == [
            {"key": fields["key"]} for fields in desktop.telemetry.of("daemon_record_unreadable")
        ]

    play(scenario)


# -- the network and the server -----------------------------------------------------------------------------


def test_network_cut_for_a_minute_costs_nothing_but_the_minute() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            for agent in ("agent_1", "agent_2"):
                server.spawn(agent)
            first, second = await desktop.started("agent_1"), await desktop.started("agent_2")
            server.is_cut = True
            first.emit(Ready(), Working("one"), Working("two"), asking())
            second.emit(Ready(), Done("done in the dark"))
            await trio.sleep(60)
            server.is_cut = False
            complete = await server.complete("agent_2")
            assert "done in the dark" == complete.result
            # Half open until the silence is noticed, then dialled anew.
            await until(lambda: len(server.hellos) == 2)
            held = {agent.agent_id: agent.status for agent in server.hellos[-1].agents}
            assert {"agent_1": "needs_approval"} == held
            await server.status("agent_1", "needs_approval")
            server.say(frames.ApproveAgent(agent_id="agent_1", approval_id="a1", decision="approve"))
            await until(lambda: bool(first.answers))
            assert ["needs_approval"] == [
                report.status for report in server.statuses["agent_1"] if report.approval is not None
            ], "what was told in the dark is one report, the newest"

    play(scenario)


def test_report_that_was_lost_on_its_way_is_sent_anew_once_the_server_is_there() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            run = await desktop.started("agent_1")
            await server.status("agent_1", "initializing")
            server.is_cut = True
            run.emit(Done("done"))
            await trio.sleep(1)
            server.is_cut = False
            server.close(1012)
            mended_at = trio.current_time()
            assert "done" == (await server.complete("agent_1")).result
            assert trio.current_time() - mended_at < 3

    play(scenario)


def test_server_that_restarts_finds_its_agents_again() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            run = await desktop.started("agent_1")
            run.emit(Ready())
            await server.status("agent_1", "running")
            server.is_down = True
            server.close(1012)
            run.emit(Done("while it was down"))
            await trio.sleep(40)
            dials = server.dials
            server.is_down = False
            complete = await server.complete("agent_1")
            assert "while it was down" == complete.result
            await until(lambda: len(server.hellos) == 2, within_s=31)
            assert 5 <= dials <= 15

    play(scenario)


def test_agent_that_the_server_gave_up_is_ended_here() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            run = await desktop.started("agent_1")
            server.ended = {"agent_1"}
            server.close(1006)
            await until(lambda: run.was_killed)
            assert "cancelled" == (await server.complete("agent_1")).status

    play(scenario)


def test_revoked_daemon_stops_dialling_until_it_has_another_token() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.close(frames.TOKEN_REVOKED)
            server.tokens = {"second"}
            await trio.sleep(3600)
            assert 1 == server.dials
            (said,) = desktop.telemetry.of("uplink_refused")
            assert "log in again" in str(said["cause"])

            desktop.token = "second"
            await until(lambda: len(server.hellos) == 2, within_s=10)

    play(scenario)


def test_of_two_daemons_with_one_token_the_older_makes_room() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        other = Desktop(world, server)
        async with desktop.daemon():
            await server.online()
            async with other.daemon():
                await until(lambda: len(server.hellos) == 2)
                await trio.sleep(600)
                assert 2 == server.dials, "they do not throw each other out in turns"
                (said,) = desktop.telemetry.of("uplink_refused")
                assert "another daemon" in str(said["cause"])
                server.spawn("agent_1")
                await other.started("agent_1")
        assert {} == desktop.terminals.runs

    play(scenario)


def test_outcome_waits_while_the_token_is_refused() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            run = await desktop.started("agent_1")
            await server.status("agent_1", "initializing")
            server.refusals = [401] * 5
            run.emit(Done("kept"))
            assert "kept" == (await server.complete("agent_1")).result
            assert [] == server.refusals

    play(scenario)


def test_garbage_on_the_socket_is_counted_and_the_socket_stays() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            assert server.link is not None
            for payload in (b"", b"{", b"[]", b'{"type":"format_disk"}', b'{"type":"spawn_agent"}', b"\xff"):
                server.link.heard(payload)
            server.say(frames.Ping())
            await until(lambda: server.pongs == 1)
            assert 6 == len(desktop.telemetry.of("daemon_frame_malformed"))
            assert 1 == server.dials

    play(scenario)


def test_silent_server_is_left_and_dialled_anew() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            await trio.sleep(305)
            assert (1, 10) == (server.dials, server.pongs)
            server.is_cut = True
            await until(lambda: server.dials == 2, within_s=77)

    play(scenario)


def test_heartbeats_name_the_agents_that_run() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            await desktop.started("agent_1")
            before = len(server.heartbeats)
            await trio.sleep(121)
            beats = server.heartbeats[before:]
            assert 4 == len(beats)
            assert {("agent_1",)} == {beat.agent_ids for beat in beats}

    play(scenario)


# -- the disk and the clock ---------------------------------------------------------------------------------


def test_full_disk_refuses_new_agents_and_still_delivers_results() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon() as system:
            await server.online()
            server.spawn("agent_1")
            run = await desktop.started("agent_1")
            desktop.is_full = True
            server.spawn("agent_2")
            ack = await server.ack("agent_2")
            assert "error" == ack.status
            assert "no space left" in (ack.error or "")
            run.emit(Done("in memory alone"))
            assert "in memory alone" == (await server.complete("agent_1")).result
            assert not _record(desktop, "agent_1").is_over
            ledger = system.tree().find("/daemon/ledger")
            assert ledger is not None
            assert 0 == ledger.facts["unfinished"], "of the refused agent nothing is known any more"

            desktop.is_full = False
            await until(lambda: _record(desktop, "agent_1").is_over)
            server.spawn("agent_3")
            assert "started" == (await server.ack("agent_3")).status
        assert {"agent_1", "agent_3"} == set(desktop.disk)
        assert "agent_2" not in desktop.terminals.runs

    play(scenario)


@pytest.mark.parametrize("jump_s", [-40 * 365 * 86_400.0, 40 * 365 * 86_400.0, 1e12])
def test_wrong_calendar_moves_neither_reports_nor_expiries(jump_s: float) -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        desktop.wall_jump_s = jump_s
        async with desktop.daemon():
            await server.online()
            await until(lambda: bool(server.heartbeats))
            server.spawn("agent_1")
            run = await desktop.started("agent_1")
            run.emit(asking())
            report = await server.status("agent_1", "needs_approval")
            assert report.approval is not None
            now_ms = SERVER_MS + trio.current_time() * 1000
            assert abs((report.timestamp or 0) - now_ms) < 2000
            assert abs(report.approval.expires_at - now_ms - 600_000) < 2000
            await trio.sleep(595)
            assert [] == run.answers
            await until(lambda: bool(run.answers), within_s=10)
            assert ("a1", "deny") == run.answers[0][:2]

    play(scenario)


# -- orders -------------------------------------------------------------------------------------------------


def test_agents_past_the_limit_are_refused_until_the_processes_of_one_have_ended() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            for agent in ("agent_1", "agent_2", "agent_3"):
                server.spawn(agent)
                (await desktop.started(agent)).kill_s = 5.0
            server.spawn("agent_4")
            assert "Max concurrent agents (3) reached" == (await server.ack("agent_4")).error

            server.say(frames.KillAgent(agent_id="agent_2"))
            assert "cancelled" == (await server.complete("agent_2")).status
            server.spawn("agent_5")
            assert "error" == (await server.ack("agent_5")).status
            await trio.sleep(6)
            server.spawn("agent_6")
            assert "started" == (await server.ack("agent_6")).status

    play(scenario)


def test_same_agent_asked_for_twice_runs_once() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            server.spawn("agent_1")
            run = await desktop.started("agent_1")
            server.spawn("agent_1", "something else")
            await until(lambda: len(server.acks) >= 2)
            run.emit(Done("once"))
            await server.complete("agent_1")
            await trio.sleep(1)
            server.spawn("agent_1")
            await until(lambda: server.acks[-1].status == "error")
        async with desktop.daemon():
            await until(lambda: len(server.hellos) == 2)
            count = len(server.acks)
            server.spawn("agent_1")
            await until(lambda: len(server.acks) > count)
            assert "ended here already" in (server.acks[-1].error or "")
        assert 1 == len(desktop.terminals.runs["agent_1"])

    play(scenario)


@pytest.mark.parametrize(
    ("goal", "more", "cause"),
    [
        ("\x1b", {}, "the goal is empty"),
        ("mend it", {"working_directory": "/etc"}, "/etc is not a directory that agents may work in"),
    ],
)
def test_order_that_cannot_be_followed_is_refused_with_the_reason(
    goal: str, more: dict[str, Any], cause: str
) -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1", goal, **more)
            ack = await server.ack("agent_1")
            assert ("error", cause) == (ack.status, ack.error)
        assert {} == desktop.disk

    play(scenario)


@pytest.mark.parametrize("agent_id", ["", "../../etc/passwd", "a/b", "a b", "x" * 129, "ä"])
def test_id_that_would_be_a_path_is_refused(agent_id: str) -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn(agent_id)
            assert "error" == (await server.ack(agent_id)).status
        assert {} == desktop.disk

    play(scenario)


def test_agent_killed_before_it_began_does_not_begin() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        desktop.write_s = 1.0
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            await trio.sleep(0.5)
            server.say(frames.KillAgent(agent_id="agent_1"))
            assert "cancelled" == (await server.complete("agent_1")).status
        assert {} == desktop.terminals.runs

    play(scenario)


def test_server_cannot_allow_what_the_user_did_not() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        options = frames.SpawnOptions(auto_approve=True, timeout=10**12)
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1", options=options)
            server.spawn("agent_2", "bash: rm -rf /", options=options)
            run = await desktop.started("agent_1")
            assert (1800.0, ()) == (run.order.timeout_s, run.order.allowed)
            run.emit(asking())
            await server.status("agent_1", "needs_approval")
            await server.status("agent_2", "needs_approval")
            assert [] == run.answers
        assert "agent_2" not in desktop.terminals.runs

    play(scenario)


def test_hanging_agent_is_ended_in_time() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1", options=frames.SpawnOptions(timeout=60_000))
            run = await desktop.started("agent_1")
            complete = await server.complete("agent_1")
            assert ("failed", "Not done within 60 seconds.") == (complete.status, complete.error)
            assert run.was_killed

    play(scenario)


def test_agent_that_breaks_ends_with_what_broke() -> None:
    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            (await desktop.started("agent_1")).end(OSError("no pseudo-terminals left"))
            complete = await server.complete("agent_1")
            assert "failed" == complete.status
            assert "OSError: no pseudo-terminals left" in (complete.error or "")

    play(scenario)


def test_what_an_agent_said_outlives_a_handler_that_failed_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [ValueError("a mistake"), ValueError("and once more")]
    step = life.step

    def fails_at_the_end(
        lives: life.Life, event: life.Event, now: float, rules: life.Rules
    ) -> tuple[life.Life, tuple[life.Effect, ...]]:
        if event == life.Happened(Done("done")) and failures:
            raise failures.pop()
        return step(lives, event, now, rules)

    monkeypatch.setattr(life, "step", fails_at_the_end)

    async def scenario(world: World, server: ScriptedServer, desktop: Desktop) -> None:
        async with desktop.daemon():
            await server.online()
            server.spawn("agent_1")
            run = await desktop.started("agent_1")
            run.emit(Output("stdout", "hello"), Done("done"))
            complete = await server.complete("agent_1")
            assert ("completed", "done") == (complete.status, complete.result)
            assert ["hello"] == [log.content for log in server.logs["agent_1"]]
        assert [] == failures

    play(scenario)
