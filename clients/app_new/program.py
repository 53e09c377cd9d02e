"""Writes a new app into a folder of its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click

from clients.command_line import COMMAND, run

_TEMPLATES: Final = Path(__file__).parent
KINDS: Final = ("python", "node")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(KINDS), default="python", show_default=True, help="What it is written in."
)
@click.option("--package", metavar="PACKAGE", help="Its package name. [default: org.example.NAME]")
def program(name: str, kind: str, package: str | None) -> int:
    """Write an app into the new folder NAME: the app, its test, and how to run both.

    A python app is built on the small SDK of this distribution, a node app on the official @mentra/sdk.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,49}", name):
        raise click.ClickException(f"expected a name of small letters, digits and _, as my_app, got {name!r}")
    package = package or f"org.example.{name}"
    if not re.fullmatch(r"[A-Za-z][\w-]*(\.[A-Za-z][\w-]*)+", package):
        raise click.ClickException(f"expected a package name, as org.example.{name}, got {package!r}")
    folder = Path(name)
    try:
        folder.mkdir()
    except FileExistsError:
        raise click.ClickException(f"{name} is there already") from None
    except OSError as error:
        raise click.ClickException(f"{name}: {error.strerror}") from error
    for template in sorted((_TEMPLATES / kind).iterdir()):
        if template.suffix == ".template":
            text = (
                template.read_text(encoding="utf-8")
                .replace("{{name}}", name)
                .replace("{{package}}", package)
                .replace("{{command}}", COMMAND)
            )
            (folder / template.stem).write_text(text, encoding="utf-8")
            click.echo(f"wrote {folder / template.stem}")
    if kind == "node":
        click.echo(f"then: npm install --prefix {name}")
    click.echo(f"then: {COMMAND} app test {name}")
    return 0


def main() -> int:
    """Run it with the words of the command line."""
    return run(program, "app new")
