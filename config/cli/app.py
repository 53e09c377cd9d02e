"""`glasshouse app`: the catalogue and its keys, with the server up or down.

The commands work on the store itself. A running server reads it again within 200 ms.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from actors.app_keys import good_keys, with_new_key, with_token_key, without_more_keys
from actors.identity_ports import AppClaims
from actors.ports import AppDocument, PutApp, RemoveApp, Store
from adapters.storage import FILE_NAME
from config.app_document import (
    APP_TYPES,
    AppError,
    AppFile,
    AppOptions,
    changes,
    hash_api_key,
    make_app,
    permission_names,
    read_app_file,
)
from config.cli.durations import Duration, in_words
from config.cli.options import Failed, as_flags, data_option, file_option, load_settings
from config.cli.programs import app_new, app_run, app_test
from config.cli.stores import with_store
from config.cli.word import command_word
from config.core_tokens import core_tokens
from config.data_directory import WEBVIEW_KEY_NAME, DataDirectoryError, webview_key
from config.settings import Settings

Answer = TypeVar("Answer")

_KEY_BYTES = 32  # protocol.md 3.2


@click.group()
def app() -> None:
    """Add, list, show and remove apps, with the server up or down; write a new one, test it, run it.

    A running server sees a change on its next use.
    """


app.add_command(app_new)
app.add_command(app_test)
app.add_command(app_run)


@app.command()
@click.argument("package")
@click.option(
    "--url", metavar="URL", help="Where the app server is reached; /webhook is added. A new app needs one."
)
@click.option(
    "--api-key", metavar="KEY", help="The key the app shows. [default: one is made and printed once]"
)
@click.option("--type", "app_type", type=click.Choice(APP_TYPES), help="[default: background]")
@click.option(
    "--system/--no-system",
    "is_system",
    default=None,
    help="It runs beside the server and is given internal_url.",
)
@click.option(
    "--permission",
    "permissions",
    metavar="NAME",
    multiple=True,
    help="MICROPHONE, LOCATION, ... or ALL. Repeatable; those given replace the ones it had.",
)
@click.option("--name", help="As the wearer reads it. [default: PACKAGE]")
@click.option("--description")
@click.option("--logo-url", metavar="URL")
@click.option("--webview-url", metavar="URL")
@click.option("--owner", metavar="EMAIL", help="Who may see its figures in the console, and renew its key.")
@click.option(
    "--app-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The app's JSON or TOML file: settings schema, tools, hardwareRequirements, permissions.",
)
@data_option
@file_option
def add(
    package: str,
    url: str | None,
    api_key: str | None,
    app_type: str | None,
    is_system: bool | None,
    permissions: tuple[str, ...],
    name: str | None,
    description: str | None,
    logo_url: str | None,
    webview_url: str | None,
    owner: str | None,
    app_file: Path | None,
    data: str | None,
    settings_file: str | None,
) -> None:
    """Add the app PACKAGE, as org.example.captions, or change it.

    An app that is there already keeps what is not given, its key too, and what became another is printed. A
    key that was made here is printed once, alone on the last line; only its hash is kept.
    """
    settings = load_settings(as_flags(data=data), settings_file).settings
    if api_key is not None and not api_key.strip():
        raise Failed("--api-key: expected a key that is not empty; leave the option out and one is made")
    options = AppOptions(
        package_name=package,
        url=url,
        app_type=app_type,
        is_system=is_system,
        permissions=permissions,
        name=name,
        description=description,
        logo_url=logo_url,
        webview_url=webview_url,
        owner=owner,
    )
    outcome = _with_store(settings, lambda store: _put(store, settings, options, app_file, api_key))
    click.echo(f"{outcome.verb} {package} at {outcome.app.public_url}")
    for line in outcome.changes:
        click.echo(f"  {line}")
    if outcome.made_key is not None:
        click.echo("its API key, shown this once:")
        click.echo(outcome.made_key)


class _Outcome(msgspec.Struct, frozen=True):
    app: AppDocument
    verb: str
    changes: list[str]
    made_key: str | None


async def _put(
    store: Store, settings: Settings, options: AppOptions, app_file: Path | None, api_key: str | None
) -> _Outcome:
    try:
        file: AppFile | None = None if app_file is None else read_app_file(app_file)
        known = await store.find_app(options.package_name)
        made_key = secrets.token_hex(_KEY_BYTES) if known is None and api_key is None else None
        key = api_key or made_key
        hashed = known.hashed_api_key if key is None and known is not None else hash_api_key(key or "")
        document = make_app(
            options, file, hashed_api_key=hashed, allow_http=settings.allow_http_apps, known=known
        )
    except AppError as error:
        raise Failed("; ".join(error.problems)) from error
    await store.commit([PutApp(document)])
    if known is None:
        return _Outcome(document, "added", [], made_key)
    changed = changes(known, document)
    return _Outcome(document, "updated" if changed else "nothing new for", changed, None)


@app.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON, without keys.")
@data_option
@file_option
def list_apps(as_json: bool, data: str | None, settings_file: str | None) -> None:
    """List the apps, a line each: package, type, URL, permissions, name."""
    settings = load_settings(as_flags(data=data), settings_file).settings
    apps = _with_store(settings, lambda store: store.list_apps(), is_made=False)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([_public(one) for one in apps])).decode())
    elif not apps:
        click.echo(f"no apps yet; {command_word()} app add PACKAGE --url URL adds one", err=True)
    else:
        rows = [
            (
                one.package_name,
                one.app_type + (" system" if one.is_system else ""),
                one.public_url,
                permission_names(one) or "-",
                one.name,
            )
            for one in apps
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            click.echo("  ".join(cells).rstrip())


@app.command("rotate-key")
@click.argument("package")
@click.option("--api-key", metavar="KEY", help="The new key. [default: one is made and printed once]")
@click.option(
    "--overlap",
    type=Duration(),
    metavar="TIME",
    default="7d",
    help="How long the key before it is good too: 7d, 1h. [default: 7d]",
)
@click.option("--at-once", is_flag=True, help="The former keys, and all tokens of the app, end now.")
@data_option
@file_option
def rotate_key(
    package: str,
    api_key: str | None,
    overlap: float,
    at_once: bool,
    data: str | None,
    settings_file: str | None,
) -> None:
    """Give PACKAGE another key; the one before it stays good for a while: no server of it is shut out.

    A key that was made here is printed once, alone on the last line. Use --at-once when a key was stolen.
    """
    settings = load_settings(as_flags(data=data), settings_file).settings
    if api_key is not None and not api_key.strip():
        raise Failed("--api-key: expected a key that is not empty; leave the option out and one is made")
    key = api_key or secrets.token_hex(_KEY_BYTES)

    def rotated(known: AppDocument) -> AppDocument:
        fresh = with_new_key(known, hash_api_key(key), now=time.time(), overlap_s=overlap)
        return without_more_keys(fresh) if at_once else fresh

    _with_store(settings, lambda store: _change(store, package, rotated), is_made=False)
    ends = "its former keys and its tokens are no longer good"
    if not at_once:
        ends = f"the one before it is good for {in_words(int(overlap))} more"
    click.echo(f"{package} has a new key; {ends}")
    if api_key is None:
        click.echo("its API key, shown this once:")
        click.echo(key)


@app.command()
@click.argument("package")
@click.option("--expires", type=Duration(), metavar="TIME", help="[default: app_token_s, 365d]")
@data_option
@file_option
def token(package: str, expires: float | None, data: str | None, settings_file: str | None) -> None:
    """Print a token for PACKAGE, alone on the last line: an app that shows it needs no key.

    It goes into `Authorization: Bearer` of the app's WebSocket, beside x-user-id and x-session-id of the
    webhook, and of its REST calls. It holds a key of its own; `app rotate-key --at-once` takes it back.
    """
    settings = load_settings(as_flags(data=data), settings_file).settings
    lifetime_s = expires or settings.app_token_s or None
    key = secrets.token_hex(_KEY_BYTES)
    try:
        minted = core_tokens(settings).mint_app(AppClaims(package, key), expires_s=lifetime_s)
    except (DataDirectoryError, ValueError) as error:
        raise Failed(str(error)) from error
    now = time.time()
    until_s = None if lifetime_s is None else now + lifetime_s
    _with_store(
        settings,
        lambda store: _change(
            store,
            package,
            lambda known: with_token_key(known, hash_api_key(key), now=now, until_s=until_s),
        ),
        is_made=False,
    )
    until = "without expiry" if lifetime_s is None else f"for {in_words(int(lifetime_s))}"
    click.echo(f"token of {package}, valid {until}:")
    click.echo(minted)


async def _change(store: Store, package: str, change: Callable[[AppDocument], AppDocument]) -> None:
    known = await store.find_app(package)
    if known is None:
        raise Failed(_no_such_app(package))
    await store.commit([PutApp(change(known))])


@app.command("webview-key")
@data_option
@file_option
def show_webview_key(data: str | None, settings_file: str | None) -> None:
    """Print the public key that tokens of apps' web pages are checked with, as PEM.

    An app server on the official SDK takes it as MENTRAOS_CLOUD_USER_TOKEN_PUBLIC_KEY.
    """
    from adapters.tokens.webview import public_pem

    settings = load_settings(as_flags(data=data), settings_file).settings
    try:
        click.echo(public_pem(webview_key(settings)).decode().rstrip())
    except DataDirectoryError as error:
        raise Failed(str(error)) from error
    except ValueError as error:
        raise Failed(f"{WEBVIEW_KEY_NAME} in the data directory is no RSA key: {error}") from error


@app.command()
@click.argument("package")
@data_option
@file_option
def show(package: str, data: str | None, settings_file: str | None) -> None:
    """Show all that is known of PACKAGE, as JSON, without its key."""
    settings = load_settings(as_flags(data=data), settings_file).settings
    found = _with_store(settings, lambda store: store.find_app(package), is_made=False)
    if found is None:
        raise Failed(_no_such_app(package))
    click.echo(msgspec.json.format(msgspec.json.encode(_public(found))).decode())


@app.command()
@click.argument("package")
@data_option
@file_option
def remove(package: str, data: str | None, settings_file: str | None) -> None:
    """Take PACKAGE off the catalogue. Sessions that run go on until they end."""
    settings = load_settings(as_flags(data=data), settings_file).settings
    was_there = _with_store(settings, lambda store: _remove(store, package), is_made=False)
    if not was_there:
        raise Failed(_no_such_app(package))
    click.echo(f"removed {package}")


async def _remove(store: Store, package: str) -> bool:
    if await store.find_app(package) is None:
        return False
    await store.commit([RemoveApp(package)])
    return True


def _no_such_app(package: str) -> str:
    return f"there is no app {package!r}; {command_word()} app list shows those there are"


def _public(document: AppDocument) -> dict[str, object]:
    fields: dict[str, object] = msgspec.structs.asdict(document)
    del fields["hashed_api_key"]
    more = good_keys(document, time.time())
    fields["more_keys"] = [{"purpose": key.purpose, "until_s": key.until_s} for key in more]
    return fields


def _with_store(
    settings: Settings, work: Callable[[Store], Awaitable[Answer]], *, is_made: bool = True
) -> Answer:
    """Run `work` on the store of the data directory.

    Args:
      is_made: a store that is not there is made; otherwise that is the end of the command.
    """
    has_file = settings.store != "sqlite" or (Path(settings.data) / FILE_NAME).exists()
    if not is_made and not has_file:
        hint = f"pass another --data, or add an app: {command_word()} app add PACKAGE --url URL"
        raise Failed(f"{settings.data} holds no apps: nothing was ever stored there; {hint}")

    return with_store(settings, work)
