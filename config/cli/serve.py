"""`glasshouse serve`: check the settings, then become the keeper."""

from __future__ import annotations

import os
from collections.abc import Callable

import click

from adapters.listener.keeper import KeeperSettings, keeper_command
from config.child_command import server_command
from config.cli.options import Failed, as_flags, data_option, file_option, load_settings, set_option
from config.data_directory import DataDirectoryError, jwt_secret
from config.settings import Settings

Become = Callable[[str, list[str]], object]


@click.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on. [default: 127.0.0.1]")
@click.option("--port", metavar="NUMBER", help="Port to listen on, 0 for any free one. [default: 8002]")
@click.option(
    "--behind-proxy",
    is_flag=True,
    default=None,
    help="A proxy ends TLS in front: allows another address than loopback.",
)
@click.option("--public-url", metavar="URL", help="Where apps and phones reach this server from outside.")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error. [default: info]")
@data_option
@file_option
@set_option
def serve(
    host: str | None,
    port: str | None,
    behind_proxy: bool | None,
    public_url: str | None,
    log_level: str | None,
    data: str | None,
    settings_file: str | None,
    assignments: tuple[str, ...],
) -> None:
    """Run the cloud until SIGTERM or Ctrl-C.

    Prints `listening on http://HOST:PORT` when it serves. A small parent process, the keeper, holds the port
    and starts the server again if it dies; whoever dials meanwhile waits and is not refused. Logs go to
    standard error. One server at a time works on a data directory.

    Exit status: 0 after an orderly end, 78 when a setting is wrong.
    """
    flags = as_flags(
        assignments,
        host=host,
        port=port,
        behind_proxy="true" if behind_proxy else None,
        public_url=public_url,
        log_level=log_level,
        data=_absolute(data),
    )
    loaded = load_settings(flags, settings_file)
    try:
        # Made here, once, so that what is wrong with the folder is told before anything runs.
        jwt_secret(loaded.settings)
    except DataDirectoryError as error:
        raise Failed(str(error)) from error
    # The server reads the same sources. Of the data directory it is told, so that both surely mean one.
    flags["data"] = loaded.settings.data
    program, *words = keeper_command(keeper_settings(loaded.settings, flags, settings_file))
    os.execv(program, [program, "-P", *words])


def keeper_settings(settings: Settings, flags: dict[str, str], file: str | None) -> KeeperSettings:
    """What the keeper needs of the settings."""
    return KeeperSettings(
        command=server_command(flags=flags, file=file),
        data=settings.data,
        host=settings.host,
        port=settings.port,
        predecessor_s=settings.keeper.predecessor_s,
        start_s=settings.keeper.start_s,
        stop_s=settings.keeper.stop_s,
        settled_s=settings.keeper.settled_s,
        max_delay_s=settings.keeper.max_delay_s,
        hand_over_s=settings.keeper.hand_over_s,
    )


def _absolute(folder: str | None) -> str | None:
    return None if folder is None else os.path.abspath(os.path.expanduser(folder))
