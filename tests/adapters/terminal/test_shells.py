"""Command lines, bash and Python as terminal agents: real programs in real terminals."""

from __future__ import annotations

import gc
import os
import sys
import time
from functools import partial
from pathlib import Path

import msgspec
import psutil
import pytest
import trio

from actors.desktop_daemon.ports import Done, Failed, Withdrawn
from adapters.terminal import Terminals, TerminalSettings
from adapters.terminal.environment import MARK
from adapters.terminal.process_tree import is_running
from tests.adapters.terminal.scene import left_over, order, running

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nowhere",
    "ANTHROPIC_API_KEY": "sesame",
    "MY_PROXY": "here",
}


def at_work(folder: Path) -> list[psutil.Process]:
    """What runs in a folder."""
    found = [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(folder)]
    return [process for process in found if is_running(process)]


@pytest.fixture
def terminals(tmp_path: Path) -> Terminals:
    return Terminals(
        TerminalSettings(folder=tmp_path / "agents", kept_environment=("MY_PROXY",)), ENVIRONMENT
    )


@pytest.mark.parametrize(
    ("adapter", "goal", "result"),
    [
        ("command", "printf 'one\\ntwo\\n'", "one\ntwo"),
        ("command", "echo 3 failed; exit 1", "3 failed\n\n[exit status 1]"),
        ("bash", "for i in 1 2; do\n\n\techo $i\ndone; pwd", "1\n2\n{cwd}"),
        ("bash", "echo 'bang!!' \"it's\"", "bang!! it's"),
        ("bash", "(exit 1)", "[exit status 1]"),
        ("python", "def f():\n    x = 1\n\n    return x + 1\n\nf()\nprint('\u00e9')", "2\n\u00e9"),
        ("python", "import os; os.getcwd()", "'{cwd}'"),
    ],
)
async def test_a_goal_that_is_reached_has_its_output_as_the_result(
    terminals: Terminals, tmp_path: Path, adapter: str, goal: str, result: str
) -> None:
    agent = terminals.open(order(adapter, goal, tmp_path))

    async with running(agent) as run:
        outcome = await run.outcome()

    assert Done(result.format(cwd=tmp_path)) == outcome


@pytest.mark.parametrize(
    ("adapter", "goal", "error"),
    [
        ("command", "exit 7", "exit 7: exit status 7"),
        ("command", "kill -SEGV $$", "kill -SEGV $$: signal SIGSEGV"),
        ("bash", "no_such_program", "no_such_program: exit status 127"),
        ("bash", "echo 'open", "echo 'open: exit status 2"),
        ("bash", "exit 5", "exit 5: exit status 5"),
        ("python", "1/0", "ZeroDivisionError: division by zero"),
        ("python", "def f(:", "SyntaxError: invalid syntax"),
        ("nonsense", "", "There is no nonsense on this computer."),
    ],
)
async def test_a_goal_that_fails_says_why(
    terminals: Terminals, tmp_path: Path, adapter: str, goal: str, error: str
) -> None:
    async with running(terminals.open(order(adapter, goal, tmp_path))) as run:
        outcome = await run.outcome()

    assert isinstance(outcome, Failed)
    assert error == outcome.error


async def test_a_directory_that_is_gone_fails_the_run(terminals: Terminals, tmp_path: Path) -> None:
    async with running(terminals.open(order("command", "pwd", tmp_path / "gone"))) as run:
        outcome = await run.outcome()

    assert isinstance(outcome, Failed)
    assert "It could not be started." == outcome.error
    assert str(tmp_path / "gone") in outcome.detail


async def test_an_agent_sees_no_secret_of_the_daemons(terminals: Terminals, tmp_path: Path) -> None:
    async with running(terminals.open(order("command", "env", tmp_path))) as run:
        outcome = await run.outcome()

    assert isinstance(outcome, Done)
    names = {line.partition("=")[0] for line in outcome.result.splitlines()}
    assert "MY_PROXY" in names
    assert "ANTHROPIC_API_KEY" not in names
    assert names <= {
        "PATH",
        "HOME",
        "MY_PROXY",
        "TERM",
        "LANG",
        "PWD",
        "GLASSHOUSE_AGENT",
        "_",
        "SHLVL",
        "OLDPWD",
    }


@pytest.mark.parametrize(
    ("adapter", "goal"),
    [
        ("command", "printf 'Remove it? [y/N] '; read a; printf 'Really? [y/N] '; read b; echo got $a$b"),
        ("bash", "read -p 'Remove it? [y/N] ' a; read -p 'Really? [y/N] ' b; echo got $a$b"),
        ("python", "a = input('Remove it? [y/N] '); b = input('Really? [y/N] '); print('got', a + b)"),
    ],
)
async def test_a_program_that_asks_twice_waits_for_two_decisions(
    terminals: Terminals, tmp_path: Path, adapter: str, goal: str
) -> None:
    async with running(terminals.open(order(adapter, goal, tmp_path))) as run:
        first = await run.question()
        assert run.approve(first)
        assert not run.approve(first)
        second = await run.question(2)
        assert not run.approve(first)
        assert run.agent.answer(second.approval.approval_id, "deny", None, None)
        outcome = await run.outcome()

    assert "Really? [y/N]" == second.approval.title
    assert isinstance(outcome, Done)
    assert outcome.result.replace(" ", "").endswith("gotyn")


async def test_a_line_of_the_users_answers_a_question_and_withdraws_it(
    terminals: Terminals, tmp_path: Path
) -> None:
    async with running(
        terminals.open(order("command", "printf 'Go on? (y/n) '; read a; echo got $a", tmp_path))
    ) as run:
        asked = await run.question()
        run.agent.send_input("n")
        outcome = await run.outcome()

    assert Withdrawn(asked.approval.approval_id) in run.events
    assert isinstance(outcome, Done)
    assert outcome.result.endswith("got n")


async def test_an_interrupt_ends_what_the_shell_runs(terminals: Terminals, tmp_path: Path) -> None:
    async with running(terminals.open(order("bash", "echo on; sleep 1000", tmp_path))) as run:
        await run.until(lambda: "on" in run.output)
        run.agent.interrupt()
        outcome = await run.outcome()

    assert isinstance(outcome, Failed)
    assert outcome.error.endswith("exit status 130")


async def test_a_cancelled_run_leaves_no_process_in_whatever_session_it_is(
    terminals: Terminals, tmp_path: Path
) -> None:
    """One in a session of its own, one that ignores the hang-up, and one whose parent has ended."""
    goal = (
        "setsid sleep 1001 & (trap '' HUP; echo deaf; sleep 1002; sleep 1002) & "
        "setsid sh -c 'sleep 1003 & echo orphan'; wait"
    )
    ordered = order("command", goal, tmp_path)

    async with running(terminals.open(ordered)) as run:
        await run.until(lambda: "orphan" in run.output and "deaf" in run.output)
        assert 3 <= len(left_over(ordered))

    assert set() == left_over(ordered)


async def test_a_process_that_has_lost_its_mark_is_found_by_its_parent(
    terminals: Terminals, tmp_path: Path
) -> None:
    goal = 'env -i "PATH=$PATH" setsid sh -c "echo pid \\$\\$; trap true HUP; sleep 1005; sleep 1005" & wait'
    ordered = order("command", goal, tmp_path)

    async with running(terminals.open(ordered)) as run:
        await run.until(lambda: "pid " in run.output)
        bare = psutil.Process(int(run.output.split()[1]))
        assert bare not in left_over(ordered)
        assert bare in at_work(tmp_path)

    assert [] == at_work(tmp_path)  # it has started another one when it was hung up


async def test_a_resumed_run_first_ends_what_an_earlier_one_has_left(
    terminals: Terminals, tmp_path: Path
) -> None:
    ordered = order("command", "echo here", tmp_path)
    async with trio.open_nursery() as nursery:
        environment = {**ENVIRONMENT, MARK: ordered.agent_id}
        left = await nursery.start(partial(trio.run_process, ["sleep", "1006"], env=environment, check=False))

        async with running(terminals.open(msgspec.structs.replace(ordered, is_resume=True))) as run:
            outcome = await run.outcome()

        with trio.fail_after(5):
            await left.wait()
    assert Done("here") == outcome


async def test_what_a_command_leaves_behind_ends_with_it(terminals: Terminals, tmp_path: Path) -> None:
    ordered = order("bash", "setsid sleep 1004 >/dev/null 2>&1 & echo started", tmp_path)

    async with running(terminals.open(ordered)) as run:
        outcome = await run.outcome()

    assert Done("started") == outcome
    assert set() == left_over(ordered)


async def test_a_flood_is_read_to_its_end_and_bounded_and_leaves_the_loop_its_turns(
    terminals: Terminals, tmp_path: Path
) -> None:
    goal = "echo first; yes $(printf %0100d 7) | head -c 100000000; echo; echo last; exit 1"
    worst_s = 0.0

    async def feel() -> None:
        nonlocal worst_s
        while True:
            began = time.thread_time()  # not the clock's: others use this machine as well
            await trio.sleep(0.005)
            worst_s = max(worst_s, time.thread_time() - began)

    gc.collect()
    gc.disable()  # what the tests before have left is not this one's
    try:
        async with (
            running(terminals.open(order("command", goal, tmp_path))) as run,
            trio.open_nursery() as nursery,
        ):
            await run.until(lambda: run.output)  # the fork of this large process is over
            nursery.start_soon(feel)
            outcome = await run.outcome()
            nursery.cancel_scope.cancel()
    finally:
        gc.enable()

    assert isinstance(outcome, Done)
    assert outcome.result.startswith("first")
    assert "characters left out" in outcome.result
    assert outcome.result.endswith("last\n\n[exit status 1]")
    assert len(outcome.result) < 300_000
    assert len(run.output) < 1_000_000
    assert worst_s < 0.1


async def test_a_program_that_does_not_read_costs_no_memory_and_no_turn(
    terminals: Terminals, tmp_path: Path
) -> None:
    async with running(
        terminals.open(order("command", "stty raw -echo; echo deaf; sleep 1000", tmp_path))
    ) as run:
        await run.until(lambda: "deaf" in run.output)
        for _ in range(40):
            run.agent.send_input("x" * 100_000)
        await run.until(lambda: "does not read its terminal" in run.output)


async def test_an_answer_after_the_end_is_stale(terminals: Terminals, tmp_path: Path) -> None:
    agent = terminals.open(order("command", "printf 'Go on? [y/N] '; read a", tmp_path))
    assert not agent.answer("a", "approve", None, None)

    async with running(agent) as run:
        asked = await run.question()
        run.approve(asked)
        await run.outcome()

        assert not run.approve(asked)
        agent.send_input("late")
        agent.interrupt()


def test_only_what_is_installed_is_offered(tmp_path: Path) -> None:
    nothing = Terminals(TerminalSettings(folder=tmp_path), {"PATH": str(tmp_path)})
    here = Terminals(
        TerminalSettings(folder=tmp_path), {"PATH": str(Path(sys.executable).parent) + ":/usr/bin:/bin"}
    )

    assert ("command",) == nothing.names
    assert {"bash", "python", "command"} <= set(here.names)
    assert not here.can_resume("bash")
