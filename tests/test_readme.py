"""The README's commands are commands that there are."""

from __future__ import annotations

import re
from pathlib import Path

import click

from config.cli.commands import main

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
OF_THE_SCRIPT = {"demo", "test"}  # what ./run does itself, and what tests/system runs


def _fenced_lines() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_every_command_shown_is_parsed_as_it_stands() -> None:
    shown = [line.split()[1:] for line in _fenced_lines()]

    assert {"demo", "test", "app", "user", "serve"} == {words[0] for words in shown}
    for words in shown:
        if words[0] not in OF_THE_SCRIPT:
            _parse(main, words)


def test_table_of_commands_is_complete() -> None:
    listed = re.findall(r"^\| `glasshouse (\w+)` \|", README, flags=re.MULTILINE)

    assert sorted(listed) == sorted(main.list_commands(click.Context(main)))


def _parse(command: click.Command, words: list[str]) -> None:
    """Parse `words` down to the command that would run, without running it."""
    context = command.make_context(command.name, list(words))
    if isinstance(command, click.Group):
        name, inner, rest = command.resolve_command(context, context._protected_args + context.args)
        assert inner is not None, f"no command {name}"
        _parse(inner, rest)
