"""One task waits for one thing: a start, an end, a suspension."""

from __future__ import annotations

from typing import Any

import trio


class Waiter:
    """Resolved once, by whoever it was given to. It has no deadline of its own: the actor's start and stop
    have.
    """

    __slots__ = ("_error", "_is_done", "_task", "_value")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self._is_done = False
        self._value: Any = None
        self._error: Exception | None = None

    def resolve(self, value: Any = None, *, error: Exception | None = None) -> None:
        """Hand over the value, or the error. Only the first counts."""
        if self._is_done:
            return
        self._is_done = True
        self._value = value
        self._error = error
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)

    async def wait(self) -> Any:
        """Wait until resolved. Cancellation: what was waited for goes on."""
        if self._is_done:
            await trio.lowlevel.checkpoint()
        else:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        if self._error is not None:
            raise self._error
        return self._value

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._is_done = True
        return trio.lowlevel.Abort.SUCCEEDED
