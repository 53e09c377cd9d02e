"""The one-shot handle for an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._turn import CURRENT

if TYPE_CHECKING:
    from ._ask import Pending

R_contra = TypeVar("R_contra", contravariant=True)


class ReplyTo(Generic[R_contra]):
    """Where one answer goes. The first `tell` or `fail` counts; a further one is an expired dead letter."""

    __slots__ = ("_pending",)

    def __init__(self, pending: Pending) -> None:
        self._pending = pending

    def tell(self, reply: R_contra, /) -> bool:
        """Answer. Returns whether somebody still waits; inside a handler it is sent at commit, and True."""
        return self._send(reply)

    def fail(self, error: Exception, /) -> bool:
        """Answer with an error, which is raised where the reply is awaited. Returns as `tell` does."""
        return self._send(Failed(error))

    def _send(self, outcome: Any) -> bool:
        turn = CURRENT.get()
        if turn is None or turn.effects is None:
            return self._pending.put(outcome)
        turn.effects.append((self._pending, outcome))
        return True


class Failed:
    """An answer that is an error."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error
