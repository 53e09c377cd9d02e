"""A Claude Code that ends, hangs or talks nonsense: stand-ins that a test can write in a line of shell."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import msgspec
import pytest

from actors.desktop_daemon import claude_run
from actors.desktop_daemon.ports import AgentOrder, Done, Failed, Output
from actors.language_ports import LanguageModelError, ModelAnswer, ModelRequest
from adapters.terminal import Terminals, TerminalSettings
from tests.adapters.terminal.scene import left_over, order, running

RULE = "\N{BOX DRAWINGS LIGHT HORIZONTAL}" * 120
CURSOR = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
BOX = f"printf '{RULE}\\r\\n{CURSOR} \\r\\n{RULE}\\r\\n  ? for shortcuts'"
"""What its screen shows when it is ready."""

ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}


class Observer:
    """A language model that says this of every screen, or fails."""

    name = "stand-in"

    def __init__(self, says: str | None) -> None:
        self.says = says
        self.asked: list[ModelRequest] = []

    async def prepare(self) -> None:
        pass

    async def answer(self, request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
        self.asked.append(request)
        if self.says is None:
            raise LanguageModelError(self.name, "network", "it is away")
        return ModelAnswer(text=self.says, is_complete=True, input_tokens=1, output_tokens=1, model="m")

    async def aclose(self) -> None:
        pass


def stand_in(folder: Path, script: str, observer: Observer | None = None) -> tuple[Terminals, AgentOrder]:
    """Terminals whose Claude Code is this script."""
    program = folder / "claude"
    program.write_text(f"#!/bin/sh\nstty raw -echo\n{script}\n")
    program.chmod(0o700)
    settings = TerminalSettings(folder=folder / "agents", claude=str(program))
    return Terminals(settings, ENVIRONMENT, observer), order("claude", "Do it.", folder)


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("echo no license; exit 1", "exit status 1"),
        ("echo bye; exit 0", "exit status 0"),
        (f"{BOX}; head -c 19 >/dev/null; exit 0", "exit status 0"),
        ("echo ouch; kill -KILL $$", "signal SIGKILL"),
    ],
)
async def test_a_program_that_ends_has_failed_with_its_last_words(
    tmp_path: Path, script: str, how: str
) -> None:
    terminals, ordered = stand_in(tmp_path, script)

    async with running(terminals.open(ordered)) as run:
        outcome = await run.outcome()

    assert isinstance(outcome, Failed)
    assert f"Claude Code has ended: {how}" == outcome.error
    assert outcome.detail


async def test_a_program_that_hangs_at_its_start_is_given_up_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claude_run, "START_S", 0.3)
    terminals, ordered = stand_in(tmp_path, "trap '' HUP; sleep 1000")
    monkeypatch.setattr("adapters.terminal.pty.HANG_UP_S", 0.2)

    async with running(terminals.open(ordered)) as run:
        outcome = await run.outcome()

    assert Failed("Claude Code did not start.") == outcome
    assert set() == left_over(ordered)


async def test_a_program_that_stops_moving_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claude_run, "HANG_S", 0.5)
    working = f"printf '\\033[2J\\033[H* Thinking\\342\\200\\246\\r\\n'; {BOX}"
    terminals, ordered = stand_in(tmp_path, f"{BOX}; head -c 19 >/dev/null; {working}; sleep 1000")

    async with running(terminals.open(ordered)) as run:
        outcome = await run.outcome()

    assert isinstance(outcome, Failed)
    assert "Claude Code hangs: its screen does not move." == outcome.error


@pytest.mark.parametrize("says", ["It has finished.\nProbably.", None, "   "])
async def test_an_observer_describes_a_screen_and_does_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str | None
) -> None:
    monkeypatch.setattr(claude_run, "DISAGREE_S", 0.5)
    monkeypatch.setattr(claude_run, "SILENT_S", 1.0)
    said = f"printf '\\033[2J\\033[H{CURSOR} Do it.\\r\\n\\342\\227\\217 I am done.\\r\\n'; {BOX}"
    typed = tmp_path / "typed"
    observer = Observer(says)
    script = f"{BOX}; head -c 19 >/dev/null; {said}; cat > {typed}"
    terminals, ordered = stand_in(tmp_path, script, observer)

    async with running(terminals.open(ordered)) as run:
        outcome = await run.outcome()

    assert Done("I am done.") == outcome
    (asked,) = observer.asked
    assert "I am done." in asked.messages[0].text
    assert "I am done." not in asked.system
    notes = [event for event in run.events if isinstance(event, Output) and event.type == "note"]
    assert (
        [Output("note", "Observer: It has finished. Probably.\n")] if says and says.strip() else []
    ) == notes
    assert b"" == typed.read_bytes()


@pytest.mark.parametrize(
    ("is_kept", "flag", "prompt"),
    [
        (True, "--resume", "Go on."),
        (
            False,
            "--session-id",
            "Go on.\n\nWhat you are to go on with is not kept any more. It began with: Do it.",
        ),
    ],
)
async def test_an_agent_goes_on_with_its_session_or_is_told_what_that_began_with(
    tmp_path: Path, is_kept: bool, flag: str, prompt: str
) -> None:
    pasted = f"\x1b[200~{prompt}\x1b[201~\r"
    script = f'printf "%s\\n" "$@" > args; {BOX}; head -c {len(pasted)} > typed; exit 0'
    terminals, ordered = stand_in(tmp_path, script)
    if is_kept:
        kept = tmp_path / "agents" / "claude" / "projects" / "-srv"
        kept.mkdir(parents=True)
        (kept / f"{ordered.session_uuid}.jsonl").touch()
    beyond = msgspec.structs.replace(ordered, goal="Go on.", former_goal="Do it.")

    async with running(terminals.open(beyond)) as run:
        await run.outcome()

    assert [flag, ordered.session_uuid] == (tmp_path / "args").read_text().splitlines()[-2:]
    assert pasted.encode() == (tmp_path / "typed").read_bytes()


def test_a_claude_that_is_not_installed_is_not_offered(tmp_path: Path) -> None:
    settings = TerminalSettings(folder=tmp_path, claude="no-such-claude")

    assert "claude" not in Terminals(settings, ENVIRONMENT).names
    assert Terminals(settings, ENVIRONMENT).can_resume("claude")


async def test_what_it_is_started_with_asks_for_every_permission_and_hides_the_key(tmp_path: Path) -> None:
    script = (
        'printf "%s\\n" "$@" > args; env > env; cp "$4" own.json; ls -l "$4" > mode; '
        'cat "$CLAUDE_ENV_FILE" > tools'
    )
    program = tmp_path / "claude"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    settings = TerminalSettings(folder=tmp_path / "agents", claude=str(program))
    ours = {**ENVIRONMENT, "ANTHROPIC_API_KEY": "sesame", "AWS_SECRET_ACCESS_KEY": "other"}
    allowed = ("command", "Read", "bash", "Bash(npm test:*)", "python", "mcp__shop__look")
    ordered = msgspec.structs.replace(order("claude", "Do it.", tmp_path), allowed=allowed)

    async with running(Terminals(settings, ours).open(ordered)) as run:
        await run.outcome()

    args = (tmp_path / "args").read_text().splitlines()
    assert ["--permission-mode", "default", "--settings"] == args[:3]
    assert ["--setting-sources", "user", "--strict-mcp-config", "--session-id", ordered.session_uuid] == args[
        4:
    ]
    environment = (tmp_path / "env").read_text()
    assert "ANTHROPIC_API_KEY=sesame" in environment
    assert "AWS_SECRET" not in environment
    assert "unset ANTHROPIC_API_KEY" in (tmp_path / "tools").read_text()
    own = msgspec.json.decode((tmp_path / "own.json").read_bytes())
    assert "Bearer" in str(own["hooks"])
    assert ["Read", "Bash(npm test:*)", "mcp__shop__look"] == own["permissions"]["allow"]
    assert (tmp_path / "mode").read_text().startswith("-rw-------")
    known = (tmp_path / "agents" / "claude" / ".claude.json").read_text()
    assert f'"{tmp_path}":{{"hasTrustDialogAccepted":true}}' in known
    assert "Do it." not in " ".join(args)


_ASKING = r"""
import json, sys, time, urllib.request

own = json.load(open(sys.argv[sys.argv.index("--settings") + 1]))
hook = own["hooks"]["PermissionRequest"][0]["hooks"][0]


def call(**event):
    body = json.dumps(event).encode()
    request = urllib.request.Request(hook["url"], body, hook["headers"])
    return urllib.request.urlopen(request).read()


call(hook_event_name="UserPromptSubmit", prompt="")
with open("heard", "w") as heard:
    for number in range(100):
        call(hook_event_name="PermissionRequest", tool_name="Bash", tool_input={"command": "make"})
        print(time.monotonic(), file=heard, flush=True)
call(hook_event_name="Stop", last_assistant_message="Done.")
sys.stdin.read()
"""


async def test_a_decision_is_with_the_program_within_milliseconds(tmp_path: Path) -> None:
    (tmp_path / "asking.py").write_text(_ASKING)
    terminals, ordered = stand_in(
        tmp_path, f'{BOX}; head -c 19 >/dev/null; exec {sys.executable} {tmp_path}/asking.py "$@"'
    )
    decided: list[float] = []

    async with running(terminals.open(ordered)) as run:
        for number in range(1, 101):
            asked = await run.question(number)
            decided.append(time.monotonic())
            assert run.approve(asked)
        outcome = await run.outcome()

    assert Done("Done.") == outcome
    heard = [float(line) for line in (tmp_path / "heard").read_text().split()]
    took_s = sorted(end - begin for begin, end in zip(decided, heard, strict=True))
    assert took_s[50] < 0.05, took_s
