"""A day of some actors, with a crash over every message that they hear, at every point of its handler."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Any

from runtime.testing import CrashPoint, handler_point
from tests.simulation.crashes import messages_of


class Sweep:
    """What a crash costs, of every message of some actors.

    Attributes:
      pairs: the actors' classes, each with each of its messages that the day sends.
      ids: their names.
    """

    def __init__(
        self,
        actors: Collection[type[Any]],
        play: Callable[[str | None], tuple[set[str], list[str]]],
        unsent: Collection[tuple[str, str]] = (),
    ) -> None:
        """Args:
        play: plays the day with a crash at a point, or with none. Returns the handlers' points that were
          reached, and what went wrong.
        unsent: names of actors and messages that no part of the day sends.
        """
        self._play = play
        self.pairs = [
            (actor, message)
            for actor in actors
            for message in messages_of(actor)
            if (actor.__name__, message.__name__) not in unsent
        ]
        self.ids = [f"{actor.__name__} {message.__name__}" for actor, message in self.pairs]

    @functools.cached_property
    def _uncrashed(self) -> tuple[set[str], list[str]]:
        return self._play(None)

    def problems_without_a_crash(self) -> list[str]:
        return self._uncrashed[1]

    def problems(self, actor: type[Any], message: type[Any]) -> dict[CrashPoint, list[str]]:
        """What goes wrong, by the point of the handler; nothing where all is well.

        Raises:
          AssertionError: the day does not send the message.
        """
        points = {where: handler_point(actor, message, where) for where in CrashPoint}
        played = {
            where: self._play(point)[1] for where, point in points.items() if point in self._uncrashed[0]
        }
        assert played, "no part of the day sends it: write one, or say why not"
        return {where: wrong for where, wrong in played.items() if wrong}
