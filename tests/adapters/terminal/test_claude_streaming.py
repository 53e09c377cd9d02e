"""A Claude Code without a terminal that ends, hangs, floods or talks nonsense: stand-ins of a few lines."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import msgspec
import pytest
import trio

from actors.desktop_daemon import claude_headless
from actors.desktop_daemon.ports import AgentOrder, Done, Failed
from adapters.terminal import Terminals, TerminalSettings
from tests.adapters.terminal.scene import left_over, order, running

ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}

SPEAKS = r"""
import json, os, signal, subprocess, sys, time

def hear():
    return json.loads(sys.stdin.readline())

def say(kind, **fields):
    print(json.dumps({"type": kind, **fields}, separators=(",", ":")), flush=True)

def ready():
    number = hear()["request_id"]
    say("control_response", response={"subtype": "success", "request_id": number})
    say("system", subtype="init")
    return hear()["message"]["content"]

def ask(number, command="make"):
    request = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": command}}
    say("control_request", request_id=number, request=request)
    return hear()["response"]

def done(text):
    say("result", subtype="success", result=text)
    sys.stdin.read()
"""


def stand_in(folder: Path, script: str) -> tuple[Terminals, AgentOrder]:
    """Terminals whose Claude Code is this script."""
    (folder / "script.py").write_text(f"{SPEAKS}\n{script}\n")
    program = folder / "claude"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {folder}/script.py "$@"\n')
    program.chmod(0o700)
    settings = TerminalSettings(folder=folder / "agents", claude=str(program), claude_mode="stream")
    return Terminals(settings, ENVIRONMENT), order("claude", "Do it.", folder)


@pytest.mark.parametrize(
    ("script", "error", "detail"),
    [
        ("sys.exit('no license')", "Claude Code has ended: exit status 1", "no license"),
        ("ready(); sys.exit(0)", "Claude Code has ended: exit status 0", ""),
        ("os.kill(os.getpid(), signal.SIGKILL)", "Claude Code has ended: signal SIGKILL", ""),
        (
            "say('result', subtype='success', is_error=True, result='API Error: 400'); sys.exit(1)",
            "API Error: 400",
            "",
        ),
    ],
)
async def test_a_stream_that_ends_has_failed_with_its_own_reason(
    tmp_path: Path, script: str, error: str, detail: str
) -> None:
    terminals, ordered = stand_in(tmp_path, script)

    async with running(terminals.open(ordered)) as run:
        outcome = await run.outcome()

    assert Failed(error, detail) == outcome
    assert set() == left_over(ordered)
    assert not (tmp_path / "agents" / ordered.agent_id).exists()


async def test_a_stream_that_never_begins_is_given_up_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claude_headless, "START_S", 0.5)
    monkeypatch.setattr("adapters.terminal.pty.HANG_UP_S", 0.2)
    hangs = "signal.signal(signal.SIGHUP, signal.SIG_IGN); signal.pause()"
    terminals, ordered = stand_in(tmp_path, hangs)

    async with running(terminals.open(ordered)) as run:
        outcome = await run.outcome()

    assert Failed("Claude Code did not start.") == outcome
    assert set() == left_over(ordered)


async def test_a_cancelled_stream_leaves_nothing_that_it_has_started(tmp_path: Path) -> None:
    starts = "subprocess.Popen(['sleep', '1000'], start_new_session=True); ready(); ask('r'); done('x')"
    terminals, ordered = stand_in(tmp_path, starts)

    async with running(terminals.open(ordered)) as run:
        await run.question()
        assert 2 <= len(left_over(ordered))

    assert set() == left_over(ordered)


async def test_a_stream_floods_and_its_permission_and_result_arrive_and_the_loop_keeps_its_turns(
    tmp_path: Path,
) -> None:
    """20 MB and 10,000 short lines before it asks, and a line of 20 MB after it."""
    flood = """
ready()
for _ in range(320):
    say("assistant", message={"content": [{"type": "text", "text": "x" * 65_000}]})
print("no json\\n" * 10_000)
assert ask("r", "m" * 100_000)["response"]["behavior"] == "allow"
say("user", message={"content": [{"type": "tool_result", "content": "y" * 20_000_000}]})
print("a library's warning", flush=True)
done("Read all.")
"""
    terminals, ordered = stand_in(tmp_path, flood)
    worst_s = 0.0

    async def watch() -> None:
        nonlocal worst_s
        while True:
            began = trio.current_time()
            await trio.sleep(0.001)
            worst_s = max(worst_s, trio.current_time() - began)

    async with trio.open_nursery() as nursery:
        async with running(terminals.open(ordered)) as run:
            nursery.start_soon(watch)
            assert run.approve(await run.question())
            outcome = await run.outcome()
        nursery.cancel_scope.cancel()

    assert Done("Read all.") == outcome
    assert "bytes left out" in run.output
    assert run.output.endswith("a library's warning\n")
    assert worst_s < 0.5, worst_s


async def test_an_approval_is_with_the_stream_within_milliseconds(tmp_path: Path) -> None:
    script = """
ready()
with open("heard", "w") as heard:
    for number in range(100):
        assert ask(str(number))["request_id"] == str(number)
        print(time.monotonic(), file=heard, flush=True)
done("Done.")
"""
    terminals, ordered = stand_in(tmp_path, script)
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


async def test_a_stream_is_started_to_ask_without_hooks_and_with_the_same_scrubbed_environment(
    tmp_path: Path,
) -> None:
    script = """
agents = os.path.dirname(sys.argv[sys.argv.index("--settings") + 1])
ready()
with open("seen.json", "w") as seen:
    own = json.load(open(sys.argv[sys.argv.index("--settings") + 1]))
    tools = open(os.environ["CLAUDE_ENV_FILE"]).read()
    files = sorted(os.listdir(agents))
    seen.write(json.dumps([sys.argv[1:], dict(os.environ), own, tools, files, os.getcwd()]))
done("Seen.")
"""
    terminals, ordered = stand_in(tmp_path, script)
    ours = {**ENVIRONMENT, "ANTHROPIC_API_KEY": "sesame", "AWS_SECRET_ACCESS_KEY": "other"}
    settings = terminals._settings
    ordered = msgspec.structs.replace(ordered, allowed=("Read", "bash"))

    async with running(Terminals(settings, ours).open(ordered)) as run:
        await run.outcome()

    argv, environment, own, tools, files, cwd = msgspec.json.decode((tmp_path / "seen.json").read_bytes())
    streaming = ["--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
    assert ["-p", *streaming, "--permission-prompt-tool", "stdio", "--permission-mode", "default"] == argv[
        :10
    ]
    assert ["--setting-sources", "user", "--strict-mcp-config", "--session-id", ordered.session_uuid] == argv[
        12:
    ]
    assert "sesame" == environment["ANTHROPIC_API_KEY"]
    assert "AWS_SECRET_ACCESS_KEY" not in environment
    assert {} == own["hooks"]
    assert ["Read"] == own["permissions"]["allow"]
    assert tools.startswith("unset ANTHROPIC_API_KEY")
    assert str(tmp_path) == cwd
    # Nobody opens the pipes a second time: their names are gone once the first line has come.
    assert ["settings.json", "tools.sh"] == files
