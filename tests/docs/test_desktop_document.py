"""docs/desktop.md, the daemon's part: its commands exist, its settings are read, its events are logged."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click
import msgspec

from config.cli.daemon import daemon
from config.daemon.home import DaemonFile
from tests.docs.test_operations import logged

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "desktop.md").read_text(encoding="utf-8")


def test_every_command_of_the_daemon_is_in_the_table_and_nothing_else() -> None:
    listed = re.findall(r"^\| `glasshouse daemon (\w+)", TEXT, re.MULTILINE)

    assert sorted(daemon.commands) == sorted(listed)


def test_options_that_are_named_exist() -> None:
    options = {
        option
        for command in daemon.commands.values()
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }
    part = TEXT[TEXT.index("## The daemon's program") :]

    assert set(re.findall(r"(--[a-z][a-z-]+)", part)) <= options


def test_example_of_its_settings_is_what_the_daemon_reads() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)

    file = msgspec.convert(tomllib.loads(example), DaemonFile)

    assert ("~/code", 3, "claude") == (file.root, file.agents.most, file.agents.adapter)
    assert ("Read", "Edit", "Bash(npm test:*)") == file.directories[0].allow


def test_events_of_the_daemon_are_logged_at_the_level_it_says_and_none_is_left_out() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \| (info|warning|error) \|", TEXT, re.MULTILINE))
    rooms = (ROOT / "actors" / "desktop_daemon", ROOT / "config" / "daemon")
    written = {
        (event, level)
        for room in rooms
        for path in room.rglob("*.py")
        for level, event in re.findall(
            r"telemetry\.(info|warning|error)\(\s*\"(\w+)\"", path.read_text(encoding="utf-8")
        )
    }

    assert listed == written
    assert listed <= logged()
