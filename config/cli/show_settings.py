"""`glasshouse config`: every setting, its value, its source."""

from __future__ import annotations

import json

import click

from config.catalogue import Setting, catalogue
from config.cli.options import as_flags, data_option, file_option, load_settings, set_option
from config.sources import DEFAULT

MASK = "********"


@click.command("config")
@click.option("--changed", is_flag=True, help="Only what is not the default.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@data_option
@file_option
@set_option
def show_settings(
    changed: bool, as_json: bool, data: str | None, settings_file: str | None, assignments: tuple[str, ...]
) -> None:
    """Show each setting, its value and where it came from. Secrets are masked.

    It reads what `glasshouse serve` with the same options and environment would read. What each one is for
    stands in docs/configuration.md.
    """
    loaded = load_settings(as_flags(assignments, data=data), settings_file)
    rows = [
        (name, shown(setting, loaded.value(name)), loaded.sources[name])
        for name, setting in catalogue().items()
        if not changed or loaded.sources[name] != DEFAULT
    ]
    if as_json:
        click.echo(
            json.dumps({name: {"value": value, "source": source} for name, value, source in rows}, indent=2)
        )
    else:
        width = max((len(name) for name, _, _ in rows), default=0)
        value_width = min(40, max((len(value) for _, value, _ in rows), default=0))
        for name, value, source in rows:
            click.echo(f"{name:<{width}}  {value:<{value_width}}  {source}")
    for notice in loaded.notices:
        click.echo(f"note: {notice}", err=True)


def shown(setting: Setting, value: object) -> str:
    """The value as text for eyes that may not see a secret."""
    if value in ("", (), None):
        return "-"
    if setting.is_secret:
        return MASK
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return f"{value:g} s" if setting.unit == "seconds" and isinstance(value, float) else str(value)
