"""`glasshouse user`: tokens for phones, links for browsers, and taking both back."""

from __future__ import annotations

import re
import secrets
import time

import click
import msgspec

from actors.console.ports import OneTimeLink
from actors.usage import COLLECTION, Usage
from adapters.tokens.revocations import of_token, of_user
from config.cli.durations import Duration, in_words
from config.cli.options import Failed, as_flags, data_option, file_option, load_settings
from config.cli.stores import with_store
from config.cli.word import command_word
from config.core_tokens import console_keys, core_tokens
from config.data_directory import DataDirectoryError, ServerFile, read_server_file
from config.settings import Settings


@click.group()
def user() -> None:
    """Make what a phone logs in with, or a browser: as glasses, or into the console."""


@user.command()
@click.argument("email")
@click.option(
    "--expires",
    type=Duration(),
    metavar="TIME",
    help="Valid for so long: 30d, 12h, 90m. [default: token_s, 90d]",
)
@data_option
@file_option
def token(email: str, expires: float | None, data: str | None, settings_file: str | None) -> None:
    """Print a core token for EMAIL, alone on the last line.

    The user need not be there: the first phone that comes with a valid token makes it. The token is signed
    with the secret of the data directory (or GLASSHOUSE_JWT_SECRET), which a running server must share.
    """
    settings = load_settings(as_flags(data=data), settings_file).settings
    lifetime_s = expires or settings.token_s or None
    name, minted = _mint(settings, email, lifetime_s)
    until = "without expiry" if lifetime_s is None else f"for {in_words(int(lifetime_s))}"
    click.echo(f"core token of {name}, valid {until}:")
    click.echo(minted)


@user.command()
@click.argument("email")
@click.option("--expires", type=Duration(), metavar="TIME", default="1d", help="[default: 1d]")
@data_option
@file_option
def glasses(email: str, expires: float, data: str | None, settings_file: str | None) -> None:
    """Print a link to glasses in a browser for EMAIL, alone on the last line.

    Whoever has the link is EMAIL for so long: it holds a token, behind the #, which no server is sent.
    """
    settings = load_settings(as_flags(data=data), settings_file).settings
    server = _running(settings)
    name, minted = _mint(settings, email, expires)
    click.echo(f"browser glasses of {name}, for {in_words(int(expires))}:")
    click.echo(f"{settings.public_url.rstrip('/') or server.url}/glasses#token={minted}")


@user.command()
@click.argument("email")
@click.option("--days", type=click.IntRange(1, 366), default=7, help="The newest so many. [default: 7]")
@data_option
@file_option
def usage(email: str, days: int, data: str | None, settings_file: str | None) -> None:
    """Print what EMAIL has used: a day a line, with sessions, hours, apps and features.

    To about a minute a session; today's is as of the last minute.
    """
    settings = load_settings(as_flags(data=data), settings_file).settings
    name = email.strip().lower()
    documents = with_store(settings, lambda store: store.list_documents(COLLECTION, name, days))
    found = sorted(
        (msgspec.json.decode(each.document, type=Usage) for each in documents), key=lambda day: day.day
    )
    if not found:
        raise Failed(
            f"nothing is kept of {name}: no session of theirs has lasted a minute, or usage_days is 0"
        )
    for day in found:
        click.echo(f"{day.day}  sessions {day.sessions}, {_hours(day.session_s)}")
        for what, used in (("apps", day.apps), ("features", day.features)):
            ranked = sorted(used.items(), key=lambda one: (-one[1], one[0]))
            if ranked:
                click.echo(f"  {what}: {', '.join(f'{name} {_hours(spent_s)}' for name, spent_s in ranked)}")


def _hours(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02} h"


@user.command()
@click.argument("email")
@click.option(
    "--operator", "is_operator", is_flag=True, help="Who logs in with it sees everybody's sessions."
)
@data_option
@file_option
def console(email: str, is_operator: bool, data: str | None, settings_file: str | None) -> None:
    """Print a link that logs EMAIL into the console, once, alone on the last line.

    What logs in stands behind the #, which no server is sent.
    """
    settings = load_settings(as_flags(data=data), settings_file).settings
    if not settings.console.enabled:
        raise Failed("there is no console: it is switched off (console.enabled)")
    server = _running(settings)
    name, lifetime_s = _address(email), settings.console.link_s
    try:
        keys = console_keys(settings)
    except DataDirectoryError as error:
        raise Failed(str(error)) from error
    until = time.time() + lifetime_s
    code = keys.mint_link(OneTimeLink(secrets.token_urlsafe(16), name, until, is_operator))
    role = ", an operator" if is_operator else ""
    click.echo(f"login of {name}{role}, good once, for {in_words(int(lifetime_s))}:")
    click.echo(f"{settings.public_url.rstrip('/') or server.url}/console/login#{code}")


@user.command()
@click.argument("email", required=False)
@click.option("--id", "token_id", metavar="ID", help="One token alone: its jti.")
@data_option
@file_option
def revoke(email: str | None, token_id: str | None, data: str | None, settings_file: str | None) -> None:
    """Take back all tokens that EMAIL has, and their logins into the console; or one token by its id.

    A running server refuses them a second later, and hangs up on the phone. Tokens made after this command
    are good. Desktop daemons have tokens of their own, which are taken back in the console.
    """
    if (email is None) == (token_id is None):
        raise Failed("expected a mail address, or --id with the id of one token")
    settings = load_settings(as_flags(data=data), settings_file).settings
    now = time.time()
    line = of_token(token_id, now) if token_id is not None else of_user(_address(email or ""), now)
    with_store(settings, lambda store: store.commit([line.document]))
    # A token says in whole seconds when it was made: one of this second is taken back with the others.
    time.sleep(max(0.0, line.before_s - time.time()))
    click.echo(f"revoked the token {token_id}" if email is None else f"revoked all tokens of {line.user_id}")


def _running(settings: Settings) -> ServerFile:
    server = read_server_file(settings.data)
    if server is None:
        raise Failed(f"no server runs on {settings.data}; start one with {command_word()} serve")
    return server


def _address(email: str) -> str:
    name = email.strip().lower()
    if not re.fullmatch(r"[^@\s/]+@[^@\s/]+", name) or len(name) > 254:
        raise Failed(f"expected a mail address, as ada@example.org, got {email!r}")
    return name


def _mint(settings: Settings, email: str, expires: float | None) -> tuple[str, str]:
    """The user's name, and a token for it."""
    name = _address(email)
    try:
        return name, core_tokens(settings).mint(name, expires_s=expires)
    except (DataDirectoryError, ValueError) as error:
        raise Failed(str(error)) from error
