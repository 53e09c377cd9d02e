"""The actors as open pages are shown them.

Everybody's lines are looked at once for all pages that are open, a user at a time with others let in between,
and no oftener than so that it takes a twentieth of the loop. One session is looked at for each page that
shows it: a subtree is some twenty actors, a fifth of a millisecond.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import trio

from actors.console.overview import WearerLine, user_of, wearer_line
from actors.figures import Figures
from actors.users.roster import branch_name
from runtime import ActorSystem, Ref, TreeNode

FRESH_S: Final = 0.9
SHARE: Final = 20
"""A look that took a while is followed by a pause of so many times that."""


class Overview(msgspec.Struct, frozen=True):
    """Everybody who is connected, in the order of their names, and the server in numbers."""

    figures: Figures
    wearers: tuple[WearerLine, ...]


class Watch:
    """Args:
    path: of the application's tree.
    """

    def __init__(self, system: ActorSystem, path: str) -> None:
        self._system = system
        self._path = path
        self._lock = trio.Lock()
        self._newest = Overview(Figures(), ())
        self._good_until = float("-inf")

    async def overview(self) -> Overview:
        """Who is connected; whoever asks at about the same time gets the same."""
        async with self._lock:
            began = self._system.clock.now()
            if began >= self._good_until:
                self._newest = await self._look()
                took_s = self._system.clock.now() - began
                self._good_until = self._system.clock.now() + max(FRESH_S, SHARE * took_s)
            return self._newest

    def trees_of(self, user_id: str) -> tuple[TreeNode, ...]:
        """The subtrees of a user's session and desk, those that there are."""
        branch = branch_name(user_id)
        refs = (self._system.find(f"{self._path}/{folder}/{branch}") for folder in ("users", "desks"))
        return tuple(self._system.tree(ref) for ref in refs if ref is not None)

    def server_trees(self) -> tuple[TreeNode, ...]:
        """What belongs to nobody: all of the tree but the users' and the desks'."""
        own = (ref for name, ref in self._parts() if name not in ("users", "desks"))
        return tuple(self._system.tree(ref) for ref in own)

    def find(self, path: str, user_id: str | None) -> Ref[Any] | None:
        """The actor at `path`, where that is one of the user's, or for None any of the application's."""
        branch = branch_name(user_id or "")
        folders = [self._path] if user_id is None else [f"{self._path}/{one}/{branch}" for one in _FOLDERS]
        is_inside = any(path == folder or path.startswith(f"{folder}/") for folder in folders)
        return self._system.find(path) if is_inside else None

    def display_of(self, user_id: str) -> Ref[Any] | None:
        """The actor that decides what is on a user's lens."""
        return self._system.find(f"{self._path}/users/{branch_name(user_id)}/display")

    def has_phone(self, user_id: str) -> bool:
        """Whether a phone of the user is connected."""
        link = self._system.find(f"{self._path}/users/{branch_name(user_id)}/link")
        return link is not None and "connection" in self._system.tree(link).facts

    async def _look(self) -> Overview:
        figures = Figures()
        trees: dict[str, dict[str, TreeNode]] = {}
        for name, ref in self._parts():
            if name not in _FOLDERS:
                figures.add(self._system.tree(ref).walk())
                continue
            for child in self._system.children(ref):
                tree = self._system.tree(child)
                figures.add(tree.walk())
                trees.setdefault(user_of(tree.name), {})[name] = tree
                await trio.lowlevel.checkpoint()
        lines = [
            wearer_line(user_id, parts.get("users"), parts.get("desks"))
            for user_id, parts in sorted(trees.items())
        ]
        return Overview(figures, tuple(lines))

    def _parts(self) -> Iterator[tuple[str, Ref[Any]]]:
        top = self._system.find(self._path)
        refs: Sequence[Ref[Any]] = () if top is None else self._system.children(top)
        return ((ref.path.rpartition("/")[2], ref) for ref in refs)


_FOLDERS: Final = ("users", "desks")
