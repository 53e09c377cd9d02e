"""Tasks that actors start: a request, a reader. Their outcome comes back as a message.

All run in one system nursery with a cancel scope each, shielded from whoever cancels the system's block:
they end when their actor says so, so that the stop keeps its order. None raises into the nursery.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from ._mailbox import SKIP
from ._turn import CURRENT, OWNER

if TYPE_CHECKING:
    from ._cell import Cell


class TaskHandle:
    """A task of an actor. Made when it is asked for, running after the commit. Give it to `cancel_task`.

    Attributes:
      name: for people; shown in the tree and in `Abandoned` events.
      is_done: it has ended; its outcome may still wait in the mailbox.
      is_cancelled: it was cancelled; its outcome will not arrive.
    """

    __slots__ = (
        "_args",
        "_cell",
        "_failed",
        "_fn",
        "_incarnation",
        "_outcome",
        "_scope",
        "_then",
        "is_cancelled",
        "is_done",
        "name",
        "outlives_crash",
    )

    def __init__(
        self,
        cell: Cell,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        then: Callable[[Any], Any] | None,
        failed: Callable[[Exception], Any] | None,
        name: str,
        *,
        outlives_crash: bool,
    ) -> None:
        self.name = name or getattr(fn, "__qualname__", repr(fn))
        self.outlives_crash = outlives_crash
        self.is_cancelled = False
        self.is_done = False
        self._cell = cell
        self._fn = fn
        self._args = args
        self._then = then
        self._failed = failed
        self._incarnation = cell.incarnation
        self._scope: trio.CancelScope | None = None
        self._outcome: Callable[[], Any] | None = None

    def begin(self) -> None:
        """Start running (at commit)."""
        if self.is_cancelled:
            return
        cell = self._cell
        if cell.tasks is None:
            cell.tasks = {}
        cell.tasks[self] = None
        self._scope = trio.CancelScope(shield=True)
        cell.system.nursery.start_soon(self._run, name=f"{cell.path}: {self.name}")

    def cancel(self) -> None:
        """Cancel it; its outcome is not delivered."""
        self.is_cancelled = True
        if self._scope is not None:
            self._scope.cancel()

    async def _run(self) -> None:
        CURRENT.set(None)
        OWNER.set(self._cell.path)
        error: Exception | None = None
        result: Any = None
        assert self._scope is not None
        try:
            with self._scope:
                result = await self._fn(*self._args)
        except Exception as caught:  # also what a group still holds after the scope took its Cancelled out
            error = caught
        except BaseException as caught:  # SystemExit, KeyboardInterrupt: they end the system, in order
            self.is_cancelled = True
            self._cell.system.end_with(caught)
        self.is_done = True
        cell = self._cell
        if not self._is_wanted():
            cell.task_ended(self)
            return
        if error is None:
            if self._then is not None:
                then = self._then
                self._outcome = lambda: then(result)
        elif self._failed is not None:
            failed = self._failed
            self._outcome = lambda: failed(error)
        else:
            cell.crash(error)
        if self._outcome is not None:
            cell.mailbox.put_envelope(self)
        cell.task_ended(self)

    def open(self) -> Any:
        """Its outcome's message, when the actor comes to it."""
        assert self._outcome is not None
        return self._outcome() if self._is_wanted() else SKIP

    def _is_wanted(self) -> bool:
        if self.is_cancelled:
            return False
        return self.outlives_crash or self._incarnation == self._cell.incarnation

    def __repr__(self) -> str:
        return f"<TaskHandle {self.name} of {self._cell.path}>"
