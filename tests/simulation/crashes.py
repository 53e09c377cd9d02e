"""The sweep: every message that an actor of the assembled tree handles is its last one once, at every point.

What there is to crash is read from the code: the classes of actors, and the union of messages that each says
it hears. What a crash may do is read from the catalogue, `docs/actors.md`: the last column of the actor's
row. A message that no chapter sends has to be in `UNSENT`, with the reason.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import random
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NoReturn

from runtime import Actor, TaskActor
from runtime.testing import CrashPoint, handler_point
from tests.simulation import soga_chapters as soga_chapters
from tests.simulation.chapters import CHAPTERS
from tests.simulation.rules import BEYOND_S, Red
from tests.simulation.stage import Seen, played

ROOT: Final = Path(__file__).parents[2]
CATALOGUE: Final = ROOT / "docs" / "actors.md"
ROOMS: Final = ("actors", "adapters", "config")
ELSEWHERE: Final = ("actors.desktop_daemon.", "actors.desktop.", "actors.assistant.", "actors.console.")
"""What no phone and no app notices has sweeps of its own: the daemon's tree in
tests/actors/desktop_daemon/test_daemon_crashes.py, desks in tests/actors/desktop/test_desk_crashes.py, their
assistants in tests/actors/assistant/test_assistant_crashes.py, the console in
tests/actors/console/test_console_crashes.py.
"""

UNSENT: Final = {
    ("Display", "Withdrawn"): "an event of its machine, which the actor makes out of EndNotice",
    ("Display", "TracedRequest"): "only where traces are made; it is handled as the request that it holds",
    ("Roster", "AdoptUser"): "the simulated server is not reloaded: its connections end with their process",
    ("Overload", "Excused"): "from a server that takes over from another, see AdoptUser",
    ("Overload", "EngineIsLate"): "the simulated engine reads at once",
    ("Service", "ServiceEnded"): "handling it is a crash already: a service's function has returned",
    ("SogaSession", "Terminated"): "a desk lives for as long as somebody listens to it",
    ("Snapshots", "FlushTick"): "only where a last look at all sessions takes longer than a slice",
    ("Snapshots", "SnapshotGone"): "only where a snapshot expires while an app asks for it",
}
"""Actor and message: why no chapter sends it."""


LATE: Final = {
    ("UserSession", "LetIn"): 5.0,  # an app's socket that is refused: the SDK's own wait
    ("AppSession", "ServerStarted"): 10.0,  # a registration that one session misses leaves its app the grace
}
"""Seconds that a crash over this message may cost beside the 2 s: what a peer waits before it tries again."""


@dataclass(frozen=True)
class Allowance:
    """What a crash may do to a wearer and their apps, beyond the message that it loses.

    Attributes:
      dials: phones and apps dial again, and wait before they do.
      late_s: see `LATE`.
    """

    dials: bool = False
    late_s: float = 0.0


NOTHING: Final = Allowance()

NOTICES: Final = {
    "nothing": Allowance(),
    "a webhook it was asked about in that moment goes out unasked": Allowance(),
    "frames of the instant before the restart": Allowance(),
    "the translation of one piece of speech": Allowance(),
    "words spoken since the last final may be missing": Allowance(),
}
"""The last column of the catalogue, part by part, as far as the sweep crashes that actor."""


class Point(typing.NamedTuple):
    """A place to crash."""

    actor: type[Any]
    message: type[Any]
    where: CrashPoint

    @property
    def name(self) -> str:
        return handler_point(self.actor, self.message, self.where)


# ---------------------------------------------------------------------------------------------------------
# What there is


@functools.cache
def handled() -> dict[type[Any], tuple[type[Any], ...]]:
    """Every actor class that is nobody's base, with the messages that it says it hears."""
    for room in ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    classes = dict.fromkeys([*_below(Actor), *_below(TaskActor)])
    leaves = [one for one in classes if not one.__subclasses__() and one.kind != "supervisor"]
    return {
        one: messages_of(one)
        for one in leaves
        if one.__module__.split(".")[0] in ROOMS and not one.__module__.startswith(ELSEWHERE)
    }


def _below(base: type[Any]) -> Iterator[type[Any]]:
    for one in base.__subclasses__():
        yield one
        yield from _below(one)


def messages_of(actor: type[Any]) -> tuple[type[Any], ...]:
    """The members of the union that the class is generic in; none for one that hears nothing."""
    for one in actor.__mro__:
        for base in vars(one).get("__orig_bases__", ()):
            if typing.get_origin(base) in (Actor, TaskActor):
                (said,) = typing.get_args(base)
                if said is NoReturn:
                    return ()
                is_union = typing.get_origin(said) in (types.UnionType, typing.Union)
                return typing.get_args(said) if is_union else (said,)
    raise TypeError(f"{actor.__name__} does not say what it hears: Actor[...] is missing among its bases")


def pairs() -> list[tuple[type[Any], type[Any]]]:
    """Every actor class with every message it handles, those of `UNSENT` left out."""
    return [(actor, message) for actor in handled() for message in pairs_of(actor)]


def pairs_of(actor: type[Any]) -> tuple[type[Any], ...]:
    """The messages of one actor that are sent in some chapter."""
    return tuple(message for message in handled()[actor] if names(actor, message) not in UNSENT)


def names(actor: type[Any], message: type[Any]) -> tuple[str, str]:
    return actor.__name__, message.__name__.lstrip("_")


# ---------------------------------------------------------------------------------------------------------
# What happens without a crash, and where


@functools.cache
def uncrashed(chapter: str) -> Seen:
    return played(CHAPTERS[chapter])


@functools.cache
def chapter_of(point: str) -> str | None:
    """The first chapter that reaches the fault point."""
    return next((name for name in CHAPTERS if uncrashed(name).reached.get(point)), None)


def reached() -> set[str]:
    return {point for name in CHAPTERS for point in uncrashed(name).reached}


def path_of(actor: type[Any]) -> str:
    """Where an actor of the class stands in the tree."""
    return next(path for name in CHAPTERS if (path := uncrashed(name).paths.get(actor.__name__)))


def production_points() -> list[str]:
    """Every name that production code gives a fault point."""
    files = [path for room in ("runtime", *ROOMS) for path in sorted((ROOT / room).rglob("*.py"))]
    call = re.compile(r'\bfault_point\("([^"]+)"\)')
    return sorted({name for path in files for name in call.findall(path.read_text(encoding="utf-8"))})


# ---------------------------------------------------------------------------------------------------------
# What may happen


@functools.cache
def rows() -> dict[str, str]:
    """The catalogue: path as a regular expression to its last column."""
    table: dict[str, str] = {}
    for line in CATALOGUE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if len(cells) == 6 and cells[0].startswith("`"):
            pattern = re.sub(r"<\w+>", "[^/]+", cells[0].strip("`"))
            table[pattern] = cells[5]
    return table


def allowance_of(actor: type[Any]) -> Allowance:
    """What the catalogue says of the actor.

    Raises:
      LookupError: it has no row, or the row says what the sweep does not know how to hold it to.
    """
    path = path_of(actor)
    said = [pattern for pattern in rows() if re.fullmatch(pattern, path)]
    if not said:
        raise LookupError(f"{path} has no row in {CATALOGUE.name}")
    closest = max(said, key=len)  # a translation's name is of the form of a language, too
    parts = [NOTICES[part] for part in rows()[closest].split("; ")]
    return Allowance(dials=any(part.dials for part in parts))


# ---------------------------------------------------------------------------------------------------------
# One crash


def crashed(point: Point, *, seed: int = 0) -> str | None:
    """Crash there once, at an occurrence that the seed draws; what is wrong with what came of it.

    Raises:
      LookupError: no chapter comes there.
    """
    may_lose = point.where is CrashPoint.BEFORE_HANDLER
    late_s = LATE.get(names(point.actor, point.message), 0.0)
    allowed = replace(allowance_of(point.actor), late_s=late_s)
    return failed_at(point.name, allowed, seed=seed, may_lose=may_lose)


def failed_at(
    point: str, allowed: Allowance = NOTHING, *, seed: int = 0, may_lose: bool = False
) -> str | None:
    """Let the fault point of this name raise once; what is wrong with what came of it."""
    chapter = chapter_of(point)
    if chapter is None:
        raise LookupError(f"no chapter reaches {point}")
    before = uncrashed(chapter)
    after = random.Random(f"{seed} {point}").randrange(before.reached[point])
    try:
        seen = played(CHAPTERS[chapter], crash=point, after=after)
    except Exception as error:
        return f"{point} ({after} before it) in {chapter}: {_first_of(error)}"
    problem = next(_differences(before, seen, allowed, may_lose=may_lose), None)
    return None if problem is None else f"{point} ({after} before it) in {chapter}: {problem}"


def crashed_everywhere(actor: type[Any], message: type[Any], *, seed: int = 0) -> list[str | None]:
    """Crash one actor in one message at every point that a chapter reaches; what was wrong each time."""
    points = (Point(actor, message, where) for where in CrashPoint)
    return [crashed(point, seed=seed) for point in points if point.name in reached()]


def _differences(before: Seen, seen: Seen, allowed: Allowance, *, may_lose: bool) -> Iterator[str]:
    late_s = seen.took_s - before.took_s
    if late_s > BEYOND_S + allowed.late_s + 0.1 and not allowed.dials:
        yield f"all was well {late_s:.2f} s later than without it"
    if _is_more(seen.began, before.began):
        yield f"on_session {dict(seen.began)} times instead of {dict(before.began)}"
    if _is_more(seen.connections, before.connections) and not allowed.dials:
        yield f"phones connected {dict(seen.connections)} times instead of {dict(before.connections)}"
    if _is_more(seen.acks, before.acks) and not allowed.dials:
        yield f"apps were acknowledged {dict(seen.acks)} times instead of {dict(before.acks)}"
    lost = {number for user, package, number in set(seen.lost) - set(before.lost)}
    if len(lost) > may_lose:
        yield f"presses {sorted(lost)} were lost"


def _is_more(seen: Mapping[Any, int], before: Mapping[Any, int]) -> bool:
    return any(count > before.get(who, 0) for who, count in seen.items())


def _first_of(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, Red) else repr(error)
