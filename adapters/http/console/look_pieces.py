"""The pages of figures as pieces of HTML: the same for the page as it is rendered, and for its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from actors.console.overview import ActorLine, WearerLine, actor_lines, tiles, wearer_line
from actors.console.ports import ErrorRates, SessionLogs
from actors.console.viewers import Viewer
from adapters.http.console.agent_pieces import Order
from adapters.http.console.frame import Frame
from adapters.http.console.sheet import Sheet, piece_id
from adapters.http.console.watch import Watch
from runtime import TreeNode

MOST_WEARERS: Final = 200
"""Lines of one page; who looks for somebody else searches."""

Pieces = Mapping[str, str]


class Shown(msgspec.Struct, frozen=True):
    """What stands on a page: pieces of HTML by their ids, by the place where they stand."""

    places: Mapping[str, Pieces]

    def on_page(self) -> dict[str, str]:
        """Each place's HTML, for the page's template; a place's name has no hyphen."""
        return {place: "\n".join(pieces.values()) for place, pieces in self.places.items()}

    def orders(self, sheet: Sheet) -> list[Order]:
        """What a page has to do that shows what `sheet` says."""
        return [order for place, pieces in self.places.items() for order in sheet.put(place, pieces)]


class LookPieces:
    """Renders them."""

    def __init__(self, frame: Frame, watch: Watch, logs: SessionLogs) -> None:
        self._frame = frame
        self._watch = watch
        self._logs = logs

    async def overview(self, viewer: Viewer, asked: str) -> Shown:
        """Who is connected; without being an operator only oneself."""
        if not viewer.is_operator:
            line = self._line_of(viewer.user_id)
            return Shown({"figures": {}, "wearers": self._wearers([] if line is None else [line])})
        seen = await self._watch.overview()
        found = [line for line in seen.wearers if asked.casefold() in line.user_id.casefold()]
        figures = self._render("figures.html", "figures-all", tiles=tiles(seen.figures, seen.wearers))
        rates = self._rates("rates", self._logs.rates())
        more = len(found) - MOST_WEARERS
        note = {"more": f'<p id="more" class="help"><span data-part="more">{more:,} more: search.</span></p>'}
        return Shown(
            {
                "figures": {"figures-all": figures, "rates": rates},
                "wearers": self._wearers(found[:MOST_WEARERS]),
                "rest": note if more > 0 else {},
            }
        )

    def wearer(self, user_id: str, *, may_kill: bool) -> Shown:
        """One wearer's apps and actors."""
        trees = self._watch.trees_of(user_id)
        line = self._line_of(user_id)
        apps = () if line is None else line.apps
        summary = self._render("summary.html", "summary-one", line=line)
        running = {
            (one := piece_id("app", app.package_name)): self._render(
                "running_app.html", one, app=app, user=user_id
            )
            for app in apps
        }
        return Shown(
            {
                "summary": {"summary-one": summary},
                "running": running,
                "actors": self._actors(trees, user_id, may_kill=may_kill),
            }
        )

    async def server(self, *, may_kill: bool) -> Shown:
        """The server's own actors."""
        seen = await self._watch.overview()
        figures = self._render("figures.html", "figures-all", tiles=tiles(seen.figures, seen.wearers))
        return Shown(
            {
                "figures": {"figures-all": figures, "rates": self._rates("rates", self._logs.rates())},
                "actors": self._actors(self._watch.server_trees(), "", may_kill=may_kill),
            }
        )

    def rates(self, package_name: str) -> str:
        """An app's error rates."""
        return self._rates(piece_id("rates", package_name), self._logs.rates(package_name))

    def _rates(self, id: str, rates: ErrorRates) -> str:
        most = max(1, *(sum(pair) for pair in zip(rates.errors, rates.warnings, strict=True)))
        bars = [
            (number, round(30 * error / most, 1), round(30 * warning / most, 1))
            for number, (error, warning) in enumerate(zip(rates.errors, rates.warnings, strict=True))
        ]
        return self._render("rates.html", id, rates=rates, bars=bars)

    def _line_of(self, user_id: str) -> WearerLine | None:
        trees = {tree.path.rsplit("/", 2)[1]: tree for tree in self._watch.trees_of(user_id)}
        return wearer_line(user_id, trees.get("users"), trees.get("desks")) if trees else None

    def _wearers(self, lines: Iterable[WearerLine]) -> Pieces:
        return {
            (one := piece_id("wearer", line.user_id)): self._render("wearer_line.html", one, line=line)
            for line in lines
        }

    def _actors(self, trees: Iterable[TreeNode], user_id: str, *, may_kill: bool) -> Pieces:
        lines: list[ActorLine] = [line for tree in trees for line in actor_lines(tree)]
        return {
            (one := piece_id("actor", line.path)): self._render(
                "actor.html", one, line=line, user=user_id, may_kill=may_kill
            )
            for line in lines
        }

    def _render(self, template: str, id: str, **values: Any) -> str:
        return self._frame.render(template, id=id, **values)
