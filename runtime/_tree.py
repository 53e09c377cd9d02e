"""The tree of actors as data: what the console, the command line and tests read."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._actor import AnyActor
    from ._cell import Cell
    from ._trace import Spent


@dataclass(frozen=True, slots=True)
class TreeNode:
    """One actor, as it is at this moment.

    Attributes:
      kind: its class; empty while it is not up.
      status: new, starting, running, suspended, ending, down (waits for its restart) or terminated.
      state: the state's name: its `name`, or its class.
      depth: messages that wait; high_water: the most there were when it was run.
      oldest_age_s: how long the oldest message waits, to one batch; None when none waits.
      handled: messages taken since the actor's first start; restarts: incarnations after the first.
      age_s: since this incarnation is up; None while it is not.
      spent: time per message type, where tracing is on.
      facts: what the actor itself has to show (`facts`).
    """

    path: str
    name: str
    kind: str
    status: str
    state: str
    depth: int
    high_water: int
    oldest_age_s: float | None
    handled: int
    worked_s: float
    restarts: int
    last_error: str | None
    age_s: float | None
    timers: tuple[str, ...]
    tasks: tuple[str, ...]
    stashed: int
    spent: Mapping[str, Spent]
    facts: Mapping[str, object]
    children: tuple[TreeNode, ...]

    def walk(self) -> Iterator[TreeNode]:
        """This node and all below, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, path: str) -> TreeNode | None:
        """The node at `path`, in this node or below."""
        return next((node for node in self.walk() if node.path == path), None)


def describe(cell: Cell) -> TreeNode:
    """The tree below `cell`."""
    mailbox = cell.mailbox
    now = cell.system.clock.now()
    since = mailbox.waiting_since()
    status = cell.status
    return TreeNode(
        path=cell.path or "/",
        name=cell.name,
        kind="" if cell.actor is None else type(cell.actor).__name__,
        status="suspended" if cell.is_suspended and status == "running" else status,
        state=state_name(cell.state),
        depth=mailbox.depth(),
        high_water=max(mailbox.high_water, mailbox.depth()),
        oldest_age_s=None if since is None else max(0.0, now - since),
        handled=cell.handled,
        worked_s=cell.worked_s,
        restarts=cell.restarts_total,
        last_error=None if cell.last_error is None else repr(cell.last_error),
        age_s=None if cell.up_since is None or cell.actor is None else now - cell.up_since,
        timers=tuple(cell.timers or ()),
        tasks=tuple(task.name for task in cell.tasks or ()),
        stashed=len(cell.stash or ()),
        spent={} if cell.trace is None else dict(cell.trace.spent),
        facts={} if cell.actor is None else _facts_of(cell.actor),
        children=tuple(describe(child) for child in children_of(cell)),
    )


def _facts_of(actor: AnyActor[Any]) -> Mapping[str, object]:
    try:
        return dict(actor.facts())
    except Exception as error:  # looking at a system ends nothing of it
        return {"error": repr(error)}


def children_of(cell: Cell) -> tuple[Cell, ...]:
    """The children in the order of their start."""
    return () if cell.supervision is None else tuple(cell.supervision.children.values())


def state_name(state: Any) -> str:
    """What a person calls this state."""
    if state is None:
        return ""
    if isinstance(state, enum.Enum):
        return state.name.lower()
    return type(state).__name__
