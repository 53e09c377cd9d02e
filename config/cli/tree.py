"""`glasshouse tree`: the actors of the running server, as its administration route tells them."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

import click
import msgspec

from config.cli.options import Failed, as_flags, data_option, file_option, load_settings
from config.cli.word import command_word
from config.data_directory import ServerFile, read_server_file

ROUTE = "/api/admin/tree"

_TIMEOUT_S = 10.0

# An actor's state is named after its type; of these the name says nothing.
_CONTAINERS = {"dict", "list", "tuple", "set", "frozenset", "str", "bytes", "int", "float", "bool"}


class NodeView(msgspec.Struct, frozen=True):
    """What is shown of the runtime's `TreeNode`."""

    name: str
    path: str = ""
    kind: str = ""
    status: str = ""
    state: str = ""
    depth: int = 0
    high_water: int = 0
    oldest_age_s: float | None = None
    handled: int = 0
    worked_s: float = 0.0
    restarts: int = 0
    last_error: str | None = None
    age_s: float | None = None
    facts: dict[str, Any] = {}
    children: tuple[NodeView, ...] = ()


class TreeView(msgspec.Struct, frozen=True):
    tree: NodeView
    counters: dict[str, int] = {}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="What the server said, as JSON.")
@click.option("--watch", "is_watching", is_flag=True, help="Show it again and again, until Ctrl-C.")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(0.1, 3_600),
    default=1.0,
    metavar="SECONDS",
    help="With --watch: how often. [default: 1]",
)
@click.option("--of", "user", metavar="EMAIL", help="With --watch: the actors of one user.")
@click.option("--times", type=click.IntRange(1), metavar="N", help="With --watch: end after so many looks.")
@data_option
@file_option
def tree(
    as_json: bool,
    is_watching: bool,
    every_s: float,
    user: str | None,
    times: int | None,
    data: str | None,
    settings_file: str | None,
) -> None:
    """Show the actors of the running server: state, mailbox, messages handled, restarts, last error, and
    what each adds: of a connection its silence, round trip and missed pongs."""
    settings = load_settings(as_flags(data=data), settings_file).settings
    if is_watching:
        from config.cli.tree_watch import watch

        watch(lambda: read(settings.data), every_s=every_s, times=times, user=user)
        return
    server = read_server_file(settings.data)
    if server is None:
        raise Failed(
            f"no server runs on {settings.data}; start one with {command_word()} serve, or pass its --data"
        )
    answer = ask(server, settings.data)
    try:
        view = msgspec.json.decode(answer, type=TreeView)
    except msgspec.DecodeError as error:
        raise Failed(f"{server.url} answered something else than a tree: {error}") from error
    if as_json:
        click.echo(json.dumps(json.loads(answer), indent=2))
    else:
        print_tree(view.tree)


def read(data: str) -> TreeView:
    """What the server of a data directory says now; Failed where it says nothing."""
    server = read_server_file(data)
    if server is None:
        raise Failed(f"no server runs on {data}")
    try:
        return msgspec.json.decode(ask(server, data), type=TreeView)
    except msgspec.DecodeError as error:
        raise Failed(f"{server.url} answered something else than a tree: {error}") from error


def ask(server: ServerFile, data: str) -> bytes:
    """What the server says of its tree; the end of the command when it says nothing."""
    request = urllib.request.Request(
        server.url + ROUTE, headers={"authorization": f"Bearer {server.admin_token}"}
    )
    # No proxy of the environment: the server is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as response:
            answer: bytes = response.read()
            return answer
    except urllib.error.HTTPError as error:
        error.close()
        raise Failed(f"{server.url} answered {error.code} to {ROUTE}") from error
    except (OSError, http.client.HTTPException) as error:
        raise Failed(
            f"the server of {data} (process {server.process}, {server.url}) does not answer: {error}"
        ) from error


def print_tree(node: NodeView) -> None:
    """The tree, drawn, with a column for each number. Wider than the terminal if need be."""
    rows = [("actor", "state", "mail", "high", "oldest", "handled", "restarts", "last error", "facts")]
    for drawn, one in _drawn(node, "", ""):
        state = "" if one.state in _CONTAINERS else one.state
        state = state if one.status in ("", "running") else f"{one.status} {state}".rstrip()
        oldest = "" if one.oldest_age_s is None else f"{one.oldest_age_s:.3f} s"
        numbers = (str(one.depth), str(one.high_water), oldest, str(one.handled), str(one.restarts))
        # Escaped: a message of an error may hold what somebody sent.
        error = (one.last_error or "").encode("unicode_escape").decode("ascii")
        rows.append((drawn, state, *numbers, error, _facts(one)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if 2 <= column <= 6 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def _facts(node: NodeView) -> str:
    known = [f"{name} {value}" for name, value in node.facts.items() if value not in (None, "")]
    return ", ".join(known).encode("unicode_escape").decode("ascii")


def _drawn(node: NodeView, first: str, rest: str) -> list[tuple[str, NodeView]]:
    rows = [(first + node.name, node)]
    for number, child in enumerate(node.children, start=1):
        is_last = number == len(node.children)
        rows += _drawn(child, rest + ("└── " if is_last else "├── "), rest + ("    " if is_last else "│   "))
    return rows
