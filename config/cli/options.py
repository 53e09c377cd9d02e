"""What several commands take: the data directory, a settings file, single settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from adapters.listener.keeper import EX_CONFIG
from config.cli.word import command_word
from config.sources import Loaded, SettingsError, load

Command = TypeVar("Command", bound=Callable[..., Any])


class WrongSettings(click.ClickException):
    """Ends the command with every wrong setting on standard error."""

    exit_code = EX_CONFIG

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True)


class Failed(click.ClickException):
    """Ends the command with one sentence on standard error."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        click.echo(f"glasshouse: {self.message}", err=True)


def data_option(command: Command) -> Command:
    """`--data DIR`."""
    return click.option(
        "--data",
        metavar="DIR",
        help="Where the server keeps what outlives it. [default: GLASSHOUSE_DATA, else your data folder]",
    )(command)


def file_option(command: Command) -> Command:
    """`--config FILE.toml`, the file of settings."""
    return click.option(
        "--config",
        "settings_file",
        metavar="FILE.toml",
        type=click.Path(exists=True, dir_okay=False),
        help="Settings as TOML. [default: GLASSHOUSE_CONFIG]",
    )(command)


def set_option(command: Command) -> Command:
    """`--set NAME=VALUE`, any number of times."""
    return click.option(
        "--set",
        "assignments",
        metavar="NAME=VALUE",
        multiple=True,
        help=f"Any setting, as --set display.throttle_s=0.2. `{command_word()} config` lists them.",
    )(command)


def as_flags(assignments: Sequence[str] = (), **options: object) -> dict[str, str]:
    """Text by setting name, of the options that were given and of `--set`."""
    flags = {name: str(value) for name, value in options.items() if value is not None}
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        if not sign:
            raise click.BadParameter(f"expected NAME=VALUE, got {assignment!r}", param_hint="--set")
        flags[name.strip()] = text
    return flags


def load_settings(flags: dict[str, str], file: str | None) -> Loaded:
    """The settings, or the end of the command with what is wrong with them."""
    try:
        return load(flags=flags, environ=os.environ, file=file)
    except SettingsError as error:
        raise WrongSettings(str(error)) from error
