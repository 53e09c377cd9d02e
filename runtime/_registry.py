"""Find actors by typed key, and groups of them. Names free themselves when their actor ends for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._errors import AlreadyRegistered
from ._events import Events, Joined, Left

if TYPE_CHECKING:
    from ._cell import Cell
    from ._ref import Ref

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Key(Generic[M]):
    """A name for one actor that takes messages of type M: `SESSION: Key[SessionMessage] =
    Key("session/ada")`.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Group(Generic[M]):
    """A name for any number of actors that take messages of type M."""

    name: str


class Registry:
    """Who holds which key, and who is in which group, in the order of joining."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._keys: dict[str, Cell] = {}
        self._groups: dict[str, dict[Cell, None]] = {}
        self._held: dict[Cell, tuple[list[str], list[str]]] = {}

    def find(self, key: Key[M]) -> Ref[M] | None:
        """The actor that holds `key`; None when nobody does."""
        cell = self._keys.get(key.name)
        return None if cell is None else cell.ref

    def members(self, group: Group[M]) -> tuple[Ref[M], ...]:
        """The actors in `group`, in the order they joined."""
        return tuple(cell.ref for cell in self._groups.get(group.name, ()))

    def check(self, key: Key[Any], cell: Cell) -> None:
        """Raise AlreadyRegistered when another actor holds `key`."""
        holder = self._keys.get(key.name)
        if holder is not None and holder is not cell:
            raise AlreadyRegistered(key.name, holder.ref)

    def register(self, key: Key[Any], cell: Cell) -> None:
        """Let `cell` hold `key`; again is no error."""
        self.check(key, cell)
        if key.name not in self._keys:
            self._keys[key.name] = cell
            self._names_of(cell)[0].append(key.name)

    def join(self, group: Group[Any], cell: Cell) -> None:
        """Put `cell` into `group`; again is no error."""
        members = self._groups.setdefault(group.name, {})
        if cell not in members:
            members[cell] = None
            self._names_of(cell)[1].append(group.name)
            self._events.publish(Joined(group.name, cell.ref))

    def leave(self, group: Group[Any], cell: Cell) -> None:
        """Take `cell` out of `group`; no error when it is not there."""
        members = self._groups.get(group.name, {})
        if cell in members:
            self._names_of(cell)[1].remove(group.name)
            self._leave(group.name, cell)

    def release(self, cell: Cell) -> None:
        """`cell` has ended: free its names."""
        held = self._held.pop(cell, None)
        if held is None:
            return
        keys, groups = held
        for key in keys:
            del self._keys[key]
        for group in groups:
            self._leave(group, cell)

    def _leave(self, group: str, cell: Cell) -> None:
        del self._groups[group][cell]
        if not self._groups[group]:
            del self._groups[group]
        self._events.publish(Left(group, cell.ref))

    def _names_of(self, cell: Cell) -> tuple[list[str], list[str]]:
        return self._held.setdefault(cell, ([], []))
