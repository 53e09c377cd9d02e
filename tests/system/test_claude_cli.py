"""Terminal agents that are the real Claude Code CLI, against a scripted model on loopback."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import trio

from actors.desktop_daemon.ports import Done, Failed, Ready, Withdrawn, Working
from adapters.terminal import ClaudeMode
from adapters.terminal.hooks import HookListener
from clients.messages_loopback import Asked, Fault, ToolUse
from tests.adapters.terminal.scene import left_over
from tests.system.claude_program import KEY, bash, install_claude, open_desk, scripted
from tests.system.server import eventually


@pytest.fixture(scope="module")
def claude() -> str:
    return install_claude()


@pytest.fixture(params=["terminal", "stream"])
def mode(request: pytest.FixtureRequest) -> ClaudeMode:
    """Both ways to run it; the recorded streams hold the rest of what is said without a terminal."""
    chosen: ClaudeMode = request.param
    return chosen


def results(asked: list[Asked]) -> list[str]:
    """What the model was told of its tools."""
    return [result.text for each in asked if each.tools for result in each.results]


async def test_a_task_waits_for_each_permission_and_goes_on_after_a_refusal(
    claude: str, mode: ClaudeMode, tmp_path: Path
) -> None:
    reply = scripted(
        ["I look around.", bash("touch made.txt; env")],
        ["And now.", bash("touch refused.txt")],
        "Made one, was refused the other.",
    )
    async with open_desk(tmp_path, claude, reply, mode) as desk:
        ordered = desk.order("Make two files.\nBoth of them.")
        async with desk.run(ordered) as run:
            first = await run.question()
            assert not (desk.project / "made.txt").exists()
            assert run.approve(first)
            assert not run.approve(first)
            second = await run.question(2)
            assert not run.approve(first)
            assert run.agent.answer(second.approval.approval_id, "deny", None, "Not that one.")
            outcome = await run.outcome()

    assert Done("Made one, was refused the other.") == outcome
    assert ["made.txt"] == [path.name for path in desk.project.iterdir()]
    assert ("permission", "Bash", "Run touch made.txt; env") == (
        first.approval.kind,
        first.approval.tool,
        first.approval.title,
    )
    assert ["Yes", "No"] == [option.label for option in first.approval.options]
    assert "touch refused.txt" in second.approval.detail
    environment, refusal = results(desk.loopback.asked)
    assert "Not that one." == refusal
    assert KEY not in environment
    assert "GLASSHOUSE_AGENT=" in environment
    assert run.events.index(Ready()) < run.events.index(Working("Thinks"))
    assert "● Run touch made.txt" in run.output
    assert set() == left_over(ordered)
    assert ["claude"] == [path.name for path in (tmp_path / "agents").iterdir()]


async def test_a_question_of_the_models_is_answered_by_its_label_or_in_words(
    claude: str, tmp_path: Path
) -> None:
    options = [
        {"label": "SQLite", "description": "One file"},
        {"label": "PostgreSQL", "description": "A server"},
    ]
    questions = [
        {"question": "Which database?", "header": "Database", "multiSelect": False, "options": options},
        {"question": "Which name?", "header": "Name", "multiSelect": False, "options": options},
    ]
    reply = scripted(["I ask.", ToolUse("AskUserQuestion", {"questions": questions})], "Thanks.")
    async with (
        open_desk(tmp_path, claude, reply) as desk,
        desk.run(desk.order("!touch evil.txt")) as run,
    ):
        database = await run.question()
        assert not run.agent.answer(database.approval.approval_id, "choose", "7", None)
        assert run.agent.answer(database.approval.approval_id, "choose", "2", None)
        name = await run.question(2)
        run.agent.send_input("glass")
        outcome = await run.outcome()

    assert Done("Thanks.") == outcome
    assert ("question", "Which database?") == (database.approval.kind, database.approval.title)
    assert ["SQLite", "PostgreSQL"] == [option.label for option in database.approval.options]
    assert "Which name?" == name.approval.title
    (told,) = results(desk.loopback.asked)
    assert '"Which database?"="PostgreSQL"' in told
    assert '"Which name?"="glass"' in told
    assert [] == list(desk.project.iterdir())  # what begins with ! is no command here


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=400, message="It was planned."), "API Error: 400 It was planned."),
        (Fault(status=401, message="invalid x-api-key"), "Invalid API key"),
    ],
)
async def test_a_model_that_cannot_be_asked_fails_the_task(
    claude: str, tmp_path: Path, fault: Fault, error: str
) -> None:
    async with (
        open_desk(tmp_path, claude, lambda _: fault) as desk,
        desk.run(desk.order("Try.")) as run,
    ):
        outcome = await run.outcome()

    assert isinstance(outcome, Failed)
    assert error in outcome.error


async def test_a_run_that_is_cut_off_in_a_tool_leaves_no_process_and_is_taken_up_again(
    claude: str, mode: ClaudeMode, tmp_path: Path
) -> None:
    slow = "touch begun.txt; python3 -c 'import signal; signal.pause()'"
    reply = scripted(["It takes long.", bash(slow)], "Taken up again.")
    async with open_desk(tmp_path, claude, reply, mode) as desk:
        ordered = desk.order("Wait for it.")
        async with desk.run(ordered) as run:
            run.approve(await run.question())
            await eventually((desk.project / "begun.txt").exists)
            assert 2 <= len(left_over(ordered))
        assert set() == left_over(ordered)

        async with desk.run(msgspec.structs.replace(ordered, is_resume=True)) as run:
            outcome = await run.outcome()

    assert Done("Taken up again.") == outcome
    history = json.dumps(desk.loopback.asked[-1].body["messages"])
    assert "Wait for it." in history
    assert "It takes long." in history


async def test_a_resumed_run_of_which_nothing_was_kept_begins_anew(claude: str, tmp_path: Path) -> None:
    reply = scripted("Done anyway.")
    async with (
        open_desk(tmp_path, claude, reply) as desk,
        desk.run(desk.order("Do it.", is_resume=True)) as run,
    ):
        outcome = await run.outcome()

    assert Done("Done anyway.") == outcome


async def test_a_permission_whose_hook_was_lost_is_answered_on_the_screen_by_its_label(
    claude: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(*_: object) -> bytes:
        raise trio.BrokenResourceError

    monkeypatch.setattr(HookListener, "_hold", lose)
    reply = scripted(
        ["One.", bash("touch made.txt")], ["Two.", bash("touch refused.txt")], "It is refused.", "It is done."
    )
    async with open_desk(tmp_path, claude, reply) as desk, desk.run(desk.order("Make two files.")) as run:
        first = await run.question()
        assert run.approve(first)
        second = await run.question(2)
        assert run.agent.answer(second.approval.approval_id, "deny", None, "Not that one.")
        outcome = await run.outcome()

    assert isinstance(outcome, Done)
    assert ["made.txt"] == [path.name for path in desk.project.iterdir()]
    assert "Do you want to proceed?" == first.approval.title
    assert ["Yes", "No"] == [option.label for option in first.approval.options]
    assert "touch made.txt" in first.approval.detail
    assert any("Not that one." in asked.user for asked in desk.loopback.asked)


async def test_an_interrupted_run_asks_what_to_do_instead(
    claude: str, mode: ClaudeMode, tmp_path: Path
) -> None:
    replies = scripted(Fault(hangs=True), "Did the other thing.")
    async with open_desk(tmp_path, claude, replies, mode) as desk, desk.run(desk.order("Think long.")) as run:
        await eventually(lambda: any(asked.tools for asked in desk.loopback.asked))
        run.agent.interrupt()
        asked = await run.question()
        assert not run.approve(asked)
        run.agent.send_input("Do the other thing.")
        outcome = await run.outcome()

    assert Done("Did the other thing.") == outcome
    assert Withdrawn(asked.approval.approval_id) in run.events
    assert desk.loopback.asked[-1].user.endswith("Do the other thing.")


async def test_only_the_user_allows_tools_beforehand_and_never_the_project(
    claude: str, mode: ClaudeMode, tmp_path: Path
) -> None:
    reply = scripted(["One.", bash("touch allowed.txt")], ["Two.", bash("mkdir asked")], "Good.")
    async with open_desk(tmp_path, claude, reply, mode) as desk:
        theirs = desk.project / ".claude"
        theirs.mkdir()
        hook = {"hooks": [{"type": "command", "command": f"touch {tmp_path}/hooked.txt"}]}
        rules = {"permissions": {"allow": ["Bash(mkdir:*)"]}, "hooks": {"UserPromptSubmit": [hook]}}
        (theirs / "settings.json").write_bytes(msgspec.json.encode(rules))
        async with desk.run(desk.order("Make files.", allowed=("Bash(touch:*)",))) as run:
            asked = await run.question()
            assert (desk.project / "allowed.txt").exists()
            run.approve(asked)
            outcome = await run.outcome()

    assert Done("Good.") == outcome
    assert "Run mkdir asked" == asked.approval.title
    assert not (tmp_path / "hooked.txt").exists()


async def test_the_users_own_configuration_is_used_where_he_wants_it_and_the_folder_is_trusted_by_label(
    claude: str, tmp_path: Path
) -> None:
    async with open_desk(tmp_path, claude, scripted("Hello.")) as desk:
        home = tmp_path / "home"
        home.mkdir()
        known = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "customApiKeyResponses": {"approved": [KEY[-20:]]},
        }
        (home / ".claude.json").write_bytes(msgspec.json.encode(known))
        desk.settings = msgspec.structs.replace(desk.settings, shares_claude=True)
        async with desk.run(desk.order("Say hello.")) as run:
            outcome = await run.outcome()

    assert Done("Hello.") == outcome
    assert json.loads((home / ".claude.json").read_text())["projects"][str(desk.project)][
        "hasTrustDialogAccepted"
    ]


async def test_a_turn_is_not_the_end_while_it_has_left_something_running(claude: str, tmp_path: Path) -> None:
    go = tmp_path / "go"
    behind = ToolUse(
        "Bash",
        {
            "command": f"until [ -e {go} ]; do sleep 0.1; done",
            "description": "Waits",
            "run_in_background": True,
        },
    )
    reply = scripted(["I start it.", behind], "It runs.", "It has ended.")
    async with open_desk(tmp_path, claude, reply) as desk, desk.run(desk.order("Start it.")) as run:
        await run.until(lambda: run.questions or Working("Waits for Waits") in run.events)
        if run.questions:
            run.approve(run.questions[0])
        await run.until(lambda: Working("Waits for Waits") in run.events)
        go.touch()
        outcome = await run.outcome()

    assert Done("It has ended.") == outcome
