"""Puts an app into the catalogue of this machine's server, with a key made for it, and becomes the app."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

import click
import trio

from clients.app_test.scenario import App, ScenarioError, read
from clients.cloud import CloudError, command
from clients.command_line import COMMAND, run


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", metavar="FOLDER", type=click.Path(exists=True, path_type=Path), default=".")
@click.option(
    "--port", type=click.IntRange(1, 65_535), default=7010, show_default=True, help="Where the app listens."
)
@click.option("--data", metavar="DIR", help="The server's data directory, where it is not the usual one.")
def program(path: Path, port: int, data: str | None) -> int:
    """Run the app of FOLDER/wearer.toml on this machine's server, until Ctrl-C.

    The app gets into the catalogue, or is changed there, with a new key each time; then its own command is
    started, and told PORT, API_KEY and PACKAGE_NAME. The server may be started before or after.
    """
    try:
        app = read(path).app
    except ScenarioError as error:
        raise click.ClickException(str(error)) from error
    folder = path if path.is_dir() else path.parent
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise click.ClickException(f"port {port} is taken; choose another one with --port")
    key = secrets.token_urlsafe(24)
    try:
        trio.run(command, *_added(app, folder, f"http://127.0.0.1:{port}", key, data))
    except CloudError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{app.package} runs at http://127.0.0.1:{port}; Ctrl-C ends it")
    click.echo(f"glasses to start it on: {COMMAND} user glasses you@example.org")
    return _become(app, folder, {"PORT": str(port), "API_KEY": key, "PACKAGE_NAME": app.package})


def _added(app: App, folder: Path, url: str, key: str, data: str | None) -> list[str]:
    where = [] if data is None else ["--data", data]
    return ["app", "add", app.package, "--url", url, "--api-key", key, *app.catalogue(folder), *where]


def _become(app: App, folder: Path, told: dict[str, str]) -> int:
    """Only what goes wrong returns."""
    words = app.words()
    os.chdir(folder)
    try:
        os.execvpe(words[0], words, {**os.environ, **told})
    except OSError as error:
        raise click.ClickException(f"{words[0]}: {error.strerror}") from error


def main() -> int:
    """Run it with the words of the command line."""
    return run(program, "app run")
