"""`glasshouse reload`: another server in the place of the running one, with every connection."""

from __future__ import annotations

import click
import trio

from adapters.listener.reload import NoKeeperError, request_reload
from config.cli.options import Failed, as_flags, data_option, file_option, load_settings
from config.cli.word import command_word


@click.command()
@data_option
@file_option
def reload(data: str | None, settings_file: str | None) -> None:
    """Put a new server in the place of the running one. No connection closes.

    The new one is of the version that is installed now and reads the settings file again; the command line
    and the environment are those that `serve` was started with. Whatever goes wrong before it has everything,
    the one that runs goes on.

    Exit status: 0 when the new server serves, 1 when it does not; a line says why.
    """
    settings = load_settings(as_flags(data=data), settings_file).settings
    try:
        outcome = trio.run(request_reload, settings.data)
    except NoKeeperError as error:
        raise Failed(f"{error}; start a server with {command_word()} serve, or pass its --data") from error
    if not outcome.is_done:
        raise Failed(f"not reloaded after {outcome.took_s:.1f} s: {outcome.text}")
    click.echo(f"reloaded in {outcome.took_s:.1f} s: process {outcome.text} serves, with every connection")
