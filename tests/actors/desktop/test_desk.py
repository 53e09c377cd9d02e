"""A user's desktops with their real actors: what a daemon, a user and a second server notice."""

from __future__ import annotations

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.desktop.daemon_messages import beat, remove_daemon
from actors.desktop.messages import (
    AgentChanged,
    AgentLogged,
    AgentSpawned,
    DaemonsChanged,
    SpawnRefused,
    send_to_agent,
)
from actors.desktop.roster import LookForWork
from actors.ports import Admitted, Refused, StorageError
from adapters.simulated.store import SimulatedDocuments
from protocols.desktop.reports import CompleteReport, Heartbeat, StatusReport
from tests.actors.desktop.desk_world import ADA, SETTINGS, open_desks, statuses
from tests.actors.desktop.lives_of_agents import asks

BOB = "bob@example.org"


async def test_an_agent_runs_asks_and_ends(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        await daemon.dial()
        follower = await desks.probe("follower")

        spawned = await desks.order(follower, task_id="task_17_xyz")
        assert isinstance(spawned, AgentSpawned)
        agent_id = spawned.agent.agent_id
        assert ("agent_17_xyz", "study") == (agent_id, spawned.daemon_name)
        (order,) = daemon.told("spawn_agent")
        assert ("fix the test", False) == (order["goal"], order["options"]["autoApprove"])
        daemon.connection.say({"type": "agent_ack", "agentId": agent_id, "status": "started"})
        await daemon.status(agent_id, "running", seq=1)
        await daemon.report(agent_id, asks(seq=2))
        assert "taken" == await desks.answer(agent_id, "a1")
        assert "stale" == await desks.answer(agent_id, "a1")
        assert "approve" == daemon.told("approve_agent")[0]["decision"]
        assert "taken" == await daemon.complete(agent_id, "all green")

        expected = ["pending", "initializing", "running", "needs_approval", "running", "completed"]
        assert expected == statuses(follower)
        kept = desks.kept("subagents", agent_id)
        assert kept is not None
        assert ("completed", "all green") == (kept["status"], kept["result"])


async def test_a_hello_is_welcomed_and_its_daemon_pinged(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        connection = await daemon.dial()

        (welcome,) = daemon.told("welcome")
        assert (30_000, 262_144) == (welcome["heartbeatMs"], welcome["maxResultBytes"])
        assert [] == daemon.told("ping")
        for _ in range(5):
            await trio.sleep(SETTINGS.ping_s)
            await desks.world.settle()
            connection.say({"type": "pong"})

        assert 5 == len(daemon.told("ping"))
        assert connection.is_open


async def test_a_silent_daemon_is_closed_and_its_agents_have_the_grace(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        connection = await daemon.dial()
        agent_id = await desks.running_agent(daemon)

        await trio.sleep(SETTINGS.silence_s + 0.1)

        assert connection.closed_with is not None
        assert 4010 == connection.closed_with[0]
        assert not (await desks.daemons())[0].is_online
        assert (await desks.agent(agent_id)).is_lost
        await trio.sleep(SETTINGS.grace_s)
        agent = await desks.agent(agent_id)
        assert ("failed", "Daemon disconnected") == (agent.status, agent.error)


async def test_the_newest_connection_wins_and_the_ends_of_older_ones_change_nothing(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        listener = await desks.listener()
        first = await daemon.dial()
        agent_id = await desks.running_agent(daemon)
        listener.take()
        codes: list[int] = []
        monkeypatch.setattr(first, "close", lambda code, reason: codes.append(code))

        second = await daemon.dial(**{agent_id: "running"})
        first.hang_up()
        await desks.world.settle()

        assert [4008] == codes
        assert second.is_open
        changes = [one.agent for one in listener.take() if isinstance(one, AgentChanged)]
        assert not [agent for agent in changes if agent.is_lost]
        assert [agent_id] == daemon.told("welcome")[0]["resume"]
        assert (await desks.daemons())[0].is_online
        assert not (await desks.agent(agent_id)).is_lost
        await desks.kill(agent_id)
        assert 1 == len(daemon.told("kill_agent"))


async def test_an_older_socket_that_ends_at_once_loses_nothing_either(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        listener = await desks.listener()
        await daemon.dial()
        agent_id = await desks.running_agent(daemon)

        await daemon.dial_silently()

        changes = [one.agent for one in listener.take() if isinstance(one, AgentChanged)]
        assert not [agent for agent in changes if agent.is_lost]
        assert (await desks.daemons())[0].is_online
        assert "taken" == await daemon.complete(agent_id, "done")


async def test_a_daemon_that_returns_within_the_grace_goes_on(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        connection = await daemon.dial()
        agent_id = await desks.running_agent(daemon)
        connection.hang_up()
        await trio.sleep(SETTINGS.grace_s - 1)
        assert (await desks.agent(agent_id)).is_lost

        await daemon.dial(**{agent_id: "running"})
        await trio.sleep(20)

        assert not (await desks.agent(agent_id)).is_lost
        assert "taken" == await daemon.complete(agent_id, "done")


async def test_a_kill_while_the_daemon_is_away_is_heard_on_its_return(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        connection = await daemon.dial()
        agent_id = await desks.running_agent(daemon)
        connection.hang_up()

        assert "cancelled" == await desks.kill(agent_id)
        assert "final" == await desks.kill(agent_id)
        assert "unknown" == await desks.kill("agent_of_nobody")
        await daemon.dial(**{agent_id: "running"})

        assert [agent_id] == daemon.told("welcome")[0]["lost"]
        assert "ignored" == await daemon.complete(agent_id, "I was quicker")
        agent = await desks.agent(agent_id)
        assert ("cancelled", "I was quicker") == (agent.status, agent.late_result)


async def test_what_is_typed_reaches_a_running_agent_or_nobody(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        connection = await daemon.dial()
        agent_id = await desks.running_agent(daemon)

        async def type_into(name: str, user_id: str = ADA) -> str:
            return await desks.entrance.ask(user_id, send_to_agent(name, "go on"))

        assert "sent" == await type_into(agent_id)
        assert [{"type": "send_input", "agentId": agent_id, "text": "go on"}] == daemon.told("send_input")
        assert ["unknown", "unknown"] == [await type_into("nobody"), await type_into(agent_id, BOB)]
        connection.hang_up()
        await desks.world.settle()
        assert "offline" == await type_into(agent_id)
        await desks.kill(agent_id)
        assert "final" == await type_into(agent_id)


async def test_what_an_ended_agent_reports_is_answered_and_changes_nothing(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        await daemon.dial()
        agent_id = await desks.running_agent(daemon)
        await daemon.complete(agent_id, "done")

        assert "ignored" == await daemon.complete(agent_id, "done")
        assert "ignored" == await daemon.status(agent_id, "running", seq=9)
        assert "ignored" == await daemon.log(agent_id, "on and on")

        agent = await desks.agent(agent_id)
        assert ("completed", "done", None) == (agent.status, agent.result, agent.late_result)
        assert 1 == len(daemon.told("kill_agent"))


async def test_nobody_reports_on_agents_of_others(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        await daemon.dial()
        agent_id = await desks.running_agent(daemon)
        other, bobs = await desks.daemon("attic"), await desks.daemon("study", BOB)

        assert "foreign" == await other.complete(agent_id, "mine")
        assert "unknown" == await bobs.complete(agent_id, "mine")
        assert "unknown" == await daemon.complete("agent_of_nobody", "mine")
        assert await desks.find(agent_id, BOB) is None
        assert "unknown" == await desks.kill(agent_id, BOB)
        await bobs.dial()
        bobs.connection.say({"type": "agent_ack", "agentId": agent_id, "status": "error"})
        await desks.world.settle()

        assert "running" == (await desks.agent(agent_id)).status


@pytest.mark.parametrize(
    ("hint", "expected"), [(None, "attic"), ("study", "study"), ("STUD", "study"), ("garage", "attic")]
)
async def test_of_two_daemons_the_hint_or_the_most_recent_one_decides(
    autojump_clock: MockClock, hint: str | None, expected: str
) -> None:
    async with open_desks() as desks:
        for name in ("study", "attic"):
            await trio.sleep(1)
            await (await desks.daemon(name)).dial()

        spawned = await desks.order(await desks.probe("follower"), hint=hint)

        assert isinstance(spawned, AgentSpawned)
        assert expected == spawned.daemon_name


async def test_without_a_daemon_online_there_is_no_agent(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        follower = await desks.probe("follower")
        nobody = await desks.order(follower)
        study = await desks.daemon()
        offline = await desks.order(follower)
        await (await desks.daemon("attic")).dial()
        named = await desks.order(follower, hint=study.id.partition("-")[2])

        causes = [one.cause for one in (nobody, offline, named) if isinstance(one, SpawnRefused)]
        assert [
            "No daemon online: no computer is registered",
            "No daemon online: your computer is not connected",
            "No daemon online: study is not connected",
        ] == causes


async def test_an_order_that_comes_twice_starts_one_agent(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        await daemon.dial()
        first, second = await desks.probe("first"), await desks.probe("second")
        one = await desks.order(first, task_id="task_1_a")
        two = await desks.order(second, task_id="task_1_a")
        assert isinstance(one, AgentSpawned)
        assert isinstance(two, AgentSpawned)

        await daemon.complete(one.agent.agent_id, "done")
        assert ["completed"] == statuses(second)[-1:]
        first.take()
        three = await desks.order(first, task_id="task_1_a")

        assert 1 == len(daemon.told("spawn_agent"))
        assert one.agent.agent_id == two.agent.agent_id
        assert isinstance(three, AgentSpawned)
        assert "completed" == three.agent.status
        assert "completed" == statuses(first)[-1]


async def test_listeners_hear_agents_logs_and_daemons(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        listener = await desks.listener()
        daemon = await desks.daemon()
        await daemon.dial()
        agent_id = await desks.running_agent(daemon)

        assert "taken" == await daemon.log(agent_id, "make: done")

        heard = listener.take()
        assert "make: done" == next(one.content for one in heard if isinstance(one, AgentLogged))
        assert agent_id in {one.agent.agent_id for one in heard if isinstance(one, AgentChanged)}
        online = [one.daemons[0].is_online for one in heard if isinstance(one, DaemonsChanged)]
        assert not online[0]
        assert online[-1]


async def test_a_removed_daemon_is_out_and_its_agents_have_failed(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        connection = await daemon.dial()
        agent_id = await desks.running_agent(daemon)

        assert await desks.entrance.ask(ADA, remove_daemon(daemon.id))
        assert not await desks.entrance.ask(ADA, remove_daemon(daemon.id))

        assert connection.closed_with is not None
        assert 4003 == connection.closed_with[0]
        assert [agent_id] == [order["agentId"] for order in connection.heard("kill_agent")]
        verdict = await desks.admit(daemon.token)
        assert isinstance(verdict, Refused)
        assert 401 == verdict.status
        assert "The computer was removed" == (await desks.agent(agent_id)).error
        assert () == await desks.daemons()


async def test_frames_that_are_none_are_ignored_and_too_large_ones_end_the_socket(
    autojump_clock: MockClock,
) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        connection = await daemon.dial()
        for payload in (b"no json", b'{"type":"dance"}', b'{"type":"agent_ack"}', b"[]", b'{"type":"\xff"}'):
            connection.say(payload)
        connection.stream(b"\0\1")
        assert connection.is_open
        assert 6 == desks.world.telemetry.counters()["daemon_frame_ignored"]

        connection.say(b" " * (SETTINGS.frame_bytes + 1))

        assert connection.closed_with is not None
        assert 4009 == connection.closed_with[0]


# -- what is durable, and when ----------------------------------------------------------------------------


async def test_nothing_is_told_before_it_is_kept(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        await daemon.dial()
        follower = await desks.probe("follower")
        agent_id = await desks.running_agent(daemon, follower)
        follower.take()
        desks.world.store.outage = "the disk is full"

        with pytest.raises(StorageError):
            await daemon.complete(agent_id, "done")
        assert [] == follower.take()
        desks.world.store.outage = None
        await trio.sleep(2)

        assert ["completed"] == statuses(follower)
        assert "ignored" == await daemon.complete(agent_id, "done")


async def test_a_report_of_something_not_yet_kept_waits_for_it(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        await daemon.dial()
        agent_id = await desks.running_agent(daemon)
        desks.world.store.outage = "the disk is full"
        for report in (StatusReport(status="running", seq=5), StatusReport(status="running", seq=5)):
            with pytest.raises(StorageError):
                await daemon.report(agent_id, report)


async def test_a_second_server_finds_agents_answers_and_logs(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_desks(documents) as desks:
        daemon = await desks.daemon()
        connection = await daemon.dial()
        agent_id = await desks.running_agent(daemon)
        await daemon.log(agent_id, "before")
        await daemon.report(agent_id, asks(seq=2))
        connection.hang_up()
        await desks.answer(agent_id, "a1")
        await trio.sleep(SETTINGS.log_flush_s + 1)
        await desks.world.die()

    async with open_desks(documents) as desks:
        await desks.world.settle()
        assert desks.world.system.find(f"/glasshouse/desks/{ADA}/desktops") is not None
        assert (await desks.agent(agent_id)).is_lost
        daemon = desks.known_daemon(daemon)
        await daemon.dial(**{agent_id: "needs_approval"})
        assert "approve" == daemon.told("approve_agent")[0]["decision"]
        assert "ignored" == await daemon.status(agent_id, "running", seq=2)
        await daemon.log(agent_id, "after")
        assert "taken" == await daemon.complete(agent_id, "done")

        kept = desks.world.store._documents.documents[("agent_logs", agent_id)]
        assert b"before" in kept.document
        assert b"after" in kept.document


async def test_a_daemon_that_never_returns_to_a_second_server_has_lost_its_agents(
    autojump_clock: MockClock,
) -> None:
    documents = SimulatedDocuments()
    async with open_desks(documents) as desks:
        daemon = await desks.daemon()
        await daemon.dial()
        agent_id = await desks.running_agent(daemon)
        await desks.world.die()

    async with open_desks(documents, outage="not there yet") as desks:
        await trio.sleep(5)
        desks.world.store.outage = None
        await trio.sleep(SETTINGS.grace_s + 5)

        kept = desks.kept("subagents", agent_id)
        assert kept is not None
        assert ("failed", "Daemon disconnected") == (kept["status"], kept["error"])


async def test_a_server_that_takes_over_reads_agents_once_the_other_writes_no_more(
    autojump_clock: MockClock,
) -> None:
    documents = SimulatedDocuments()
    async with open_desks(documents) as desks:
        daemon = await desks.daemon()
        await daemon.dial()
        agent_id = await desks.running_agent(daemon)
        async with open_desks(documents, is_taking_over=True) as successor:
            await trio.sleep(5)
            await daemon.complete(agent_id, "done meanwhile")
            await desks.world.die()
            successor.desks.tell(LookForWork())
            await trio.sleep(SETTINGS.grace_s + 5)

            kept = successor.kept("subagents", agent_id)
            assert kept is not None
            assert ("completed", "done meanwhile") == (kept["status"], kept["result"])


async def test_a_server_that_takes_over_finds_what_is_unfinished(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_desks(documents) as desks:
        daemon = await desks.daemon()
        await daemon.dial()
        agent_id = await desks.running_agent(daemon)
        await desks.world.die()
    async with open_desks(documents, is_taking_over=True) as successor:
        await trio.sleep(5)
        assert successor.world.system.find(f"/glasshouse/desks/{ADA}") is None

        successor.desks.tell(LookForWork())
        await trio.sleep(1)

        assert successor.world.system.find(f"/glasshouse/desks/{ADA}") is not None
        assert (await successor.agent(agent_id)).is_lost


async def test_a_daemon_that_says_no_hello_works_too(autojump_clock: MockClock) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        connection = await daemon.dial_silently()
        agent_id = await desks.running_agent(daemon)
        assert [] == daemon.told("welcome")
        connection.hang_up()
        await trio.sleep(SETTINGS.grace_s - 1)
        await daemon.dial_silently()
        assert (await desks.agent(agent_id)).is_lost

        heartbeat = Heartbeat(active_agents=1, agent_ids=(agent_id,))
        assert await desks.entrance.ask(ADA, beat(daemon.id, heartbeat))
        await trio.sleep(20)

        assert not (await desks.agent(agent_id)).is_lost
        assert [] == daemon.told("spawn_agent"), "what may have arrived is not ordered twice"
        assert "taken" == await daemon.complete(agent_id, "done")


async def test_an_original_daemon_is_let_in_by_its_address_where_the_setting_says_so(
    autojump_clock: MockClock,
) -> None:
    legacy = msgspec.structs.replace(SETTINGS, legacy_email_auth=True)
    for settings in (SETTINGS, legacy):
        async with open_desks(settings=settings) as desks:
            nameless, named = await desks.admit(""), await desks.admit("", email=ADA)

            if settings is SETTINGS:
                assert [401, 401] == [one.status for one in (nameless, named) if isinstance(one, Refused)]
                continue
            connections = []
            for verdict in (nameless, named):
                assert isinstance(verdict, Admitted)
                connections.append(desks.world.connect())
                connections[-1].open(verdict.handler)
            await desks.world.settle()
            assert (4001, "Email required") == connections[0].closed_with
            assert connections[1].is_open
            assert f"daemon_{ADA}" == (await desks.daemons())[0].daemon_id


async def test_a_desk_ends_when_nobody_needs_it_and_stands_again_when_somebody_does(
    autojump_clock: MockClock,
) -> None:
    async with open_desks() as desks:
        daemon = await desks.daemon()
        connection = await daemon.dial()
        agent_id = await desks.running_agent(daemon)
        await daemon.complete(agent_id, "done")
        for _ in range(100):
            await trio.sleep(SETTINGS.idle_s / 50)
            connection.say({"type": "pong"})
        path = f"/glasshouse/desks/{ADA}"
        assert desks.world.system.find(path) is not None

        connection.hang_up()
        await trio.sleep(2 * SETTINGS.idle_s)

        assert desks.world.system.find(path) is None
        assert "done" == (await desks.agent(agent_id)).result
        await daemon.dial()
        assert (await desks.daemons())[0].is_online


async def test_only_so_many_daemons_are_registered_and_agents_kept(autojump_clock: MockClock) -> None:
    settings = SETTINGS.__class__(daemons_per_user=1, agents_kept=2)
    async with open_desks(settings=settings) as desks:
        daemon = await desks.daemon()
        with pytest.raises(AssertionError):
            await desks.daemon("attic")
        await daemon.dial()
        for number in range(4):
            agent_id = await desks.running_agent(daemon)
            await daemon.report(agent_id, CompleteReport(status="failed", error=str(number)))
            await trio.sleep(1)

        kept = [
            key for collection, key in desks.world.store._documents.documents if collection == "subagents"
        ]
        assert 2 == len(kept)
