"""`glasshouse tree --watch`: in a terminal what the console's pages show, drawn anew again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from actors.console.overview import (
    ActorLine,
    Tone,
    WearerLine,
    actor_lines,
    lines_of_all,
    tiles,
    user_of,
    walk,
)
from actors.figures import Figures
from config.cli.options import Failed
from config.cli.tree import NodeView, TreeView

_COLOURS: Mapping[Tone, str] = {
    "good": "green",
    "bad": "bold red",
    "waits": "yellow",
    "busy": "blue",
    "off": "dim",
}


def watch(
    read: Callable[[], TreeView],
    *,
    every_s: float,
    times: int | None = None,
    user: str | None = None,
    console: Console | None = None,
) -> None:
    """Draw what `read` says until Ctrl-C, or so many times. While the server does not answer, that is said.

    Args:
      times: None goes on.
      user: whose actors are shown; None shows who is connected, and the server's own.
    """
    console = console or Console()
    rest = threading.Event()
    is_screen = console.is_terminal
    with Live(console=console, screen=is_screen, auto_refresh=False, vertical_overflow="ellipsis") as live:
        while True:
            try:
                shown: RenderableType = drawn(read(), user)
            except Failed as error:
                shown = Text(f"{error.message}; trying again", style="bold red")
            live.update(shown, refresh=True)
            if times is not None:
                times -= 1
                if times <= 0:
                    return
            try:
                rest.wait(every_s)
            except KeyboardInterrupt:
                return


def drawn(view: TreeView, user: str | None = None) -> RenderableType:
    """One look at the tree."""
    top = next((child for child in view.tree.children if child.name == "glasshouse"), view.tree)
    figures = Figures()
    figures.add(walk(top))
    wearers = lines_of_all(top)
    if user is not None:
        branches = [
            branch
            for part in top.children
            if part.name in ("users", "desks")
            for branch in part.children
            if user_of(branch.name) == user
        ]
        found = _actors(branches) if branches else Text(f"{user} is not connected", style="yellow")
        return Group(_figures(figures, wearers), "", found)
    own = [part for part in top.children if part.name not in ("users", "desks")]
    return Group(_figures(figures, wearers), "", _wearers(wearers), "", _actors(own))


def _figures(figures: Figures, wearers: Iterable[WearerLine]) -> Text:
    text = Text()
    for tile in tiles(figures, wearers):
        text.append(" · " if text else "", style="dim")
        text.append(tile.value, style="bold")
        text.append(f" {tile.name}" + (f" ({tile.note})" if tile.note else ""))
    return text


def _wearers(lines: Iterable[WearerLine]) -> Table:
    table = _table("user", "phone", "round trip", "captions", "apps", "desktops", "mail", "restarts")
    for line in lines:
        apps = ", ".join(
            app.package_name + ("" if app.phase == "running" else f" ({app.phase})") for app in line.apps
        )
        phone = Text("away", style="yellow") if line.has_session else Text("none", style="dim")
        table.add_row(
            Text(line.user_id),
            Text("here", style="green") if line.phone_s is not None else phone,
            "" if line.round_trip_ms is None else f"{line.round_trip_ms:.0f} ms",
            "" if line.captions_ms is None else f"{line.captions_ms:.0f} ms",
            Text(apps),
            str(line.desktops or ""),
            str(line.waiting),
            str(line.restarts),
        )
    return table


def _actors(trees: Iterable[NodeView]) -> Table:
    table = _table("actor", "state", "mail", "most", "handled", "restarts", "latency", "last error")
    for line in (line for tree in trees for line in actor_lines(tree)):
        table.add_row(*_cells(line))
    return table


def _cells(line: ActorLine) -> Iterable[RenderableType]:
    # Text, and escaped: what others sent is neither markup nor moves the cursor.
    yield Text("  " * line.depth + _plain(line.name))
    yield Text(f"{line.word} {line.state}".rstrip(), style=_COLOURS[line.tone])
    yield Text(str(line.waiting), style="yellow" if line.waiting else "")
    yield str(line.high_water)
    yield f"{line.handled:,}"
    yield Text(str(line.restarts), style="yellow" if line.restarts else "")
    yield ", ".join(line.latency)
    yield Text(_plain(line.last_error), style="red")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold dim")
    for column in columns:
        is_number = column in ("mail", "most", "handled", "restarts", "round trip", "captions", "desktops")
        table.add_column(column, justify="right" if is_number else "left", no_wrap=True, overflow="ellipsis")
    return table


def _plain(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
