"""What the console shows of trees: the server in figures, a line for each wearer and for each actor. Pure.

A wearer's line is made of the subtree of their session and that of their desk; either may be missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from ..figures import Figures, Node

Tone = Literal["busy", "waits", "good", "bad", "off"]
"""What a colour is chosen by; never the only sign of it."""

JUST_BACK_S: Final = 15.0
_CONTAINERS: Final = {"dict", "list", "tuple", "set", "frozenset", "str", "bytes", "int", "float", "bool"}
_STAGES: Final = {
    "arrival": "arrival",
    "decode": "decoding",
    "send": "to the recogniser",
    "interim": "interim",
    "final": "final",
    "delivery": "to the apps",
}


class RunningApp(msgspec.Struct, frozen=True):
    """An app of a session, and where its lifecycle stands."""

    package_name: str
    phase: str


class WearerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One connected user.

    Attributes:
      has_session: glasses, or a phone that may come back.
      phone_s: how long the phone's socket is open; None without one.
      round_trip_ms: of the phone's last ping.
      captions_ms: the worst p99 of the age of interim captions; None where nobody speaks.
      desktops, agents: daemons that are online, terminal agents that run.
      waiting, most_waiting: messages in all mailboxes, and in the fullest.
      restarts: of all actors; down: those that are not up at this moment.
    """

    user_id: str
    has_session: bool = False
    session_s: float = 0.0
    phone_s: float | None = None
    round_trip_ms: float | None = None
    captions_ms: float | None = None
    apps: tuple[RunningApp, ...] = ()
    desktops: int = 0
    agents: int = 0
    actors: int = 0
    waiting: int = 0
    most_waiting: int = 0
    restarts: int = 0
    down: int = 0


def wearer_line(user_id: str, session: Node | None, desk: Node | None) -> WearerLine:
    """One user's line."""
    nodes = [node for tree in (session, desk) if tree is not None for node in walk(tree)]
    facts = {node.kind: node.facts for node in nodes}
    phone = facts.get("GlassesLink", {})
    desktops = facts.get("Desktops", {})
    ages = [
        _number(stage.get("p99_ms"))
        for node in nodes
        if node.kind == "TranscriptionStream"
        for name, stage in stages_of(node)
        if name == "interim"
    ]
    return WearerLine(
        user_id=user_id,
        has_session=session is not None,
        session_s=_number(facts.get("UserSession", {}).get("session_s")),
        phone_s=_number(phone.get("open_s")) if "connection" in phone else None,
        round_trip_ms=_number(phone["round_trip_ms"]) if phone.get("round_trip_ms") is not None else None,
        captions_ms=max(ages, default=None),
        apps=tuple(running_apps(nodes)),
        desktops=int(_number(desktops.get("online"))),
        agents=int(_number(desktops.get("agents"))),
        actors=len(nodes),
        waiting=sum(node.depth for node in nodes),
        most_waiting=max((node.depth for node in nodes), default=0),
        restarts=sum(node.restarts for node in nodes),
        down=sum(node.status == "down" for node in nodes),
    )


def running_apps(nodes: Iterable[Node]) -> Iterator[RunningApp]:
    """The apps of a session, in the order of their starts."""
    for node in nodes:
        if node.kind == "AppSession":
            yield RunningApp(node.name, str(node.facts.get("phase", "")))


class ActorLine(msgspec.Struct, frozen=True, kw_only=True):
    """One actor.

    Attributes:
      depth: how far it is indented.
      word, tone: how it stands.
      state: the name of its state, where that says something.
      waiting, high_water: messages in its mailbox now, and the most there were.
      oldest_ms: how long the oldest message waits.
      latency: what it has measured, as `round trip 4 ms`.
      notes: what else it shows of itself.
    """

    path: str
    name: str
    depth: int
    word: str
    tone: Tone
    state: str
    waiting: int
    high_water: int
    oldest_ms: float | None
    handled: int
    restarts: int
    last_error: str
    latency: tuple[str, ...]
    notes: tuple[str, ...]


def actor_lines(tree: Node, depth: int = 0) -> Iterator[ActorLine]:
    """A line for each actor, parents first."""
    word, tone = standing(tree)
    yield ActorLine(
        path=tree.path,
        name=tree.name,
        depth=depth,
        word=word,
        tone=tone,
        state=state_word(tree),
        waiting=tree.depth,
        high_water=tree.high_water,
        oldest_ms=None if tree.oldest_age_s is None else tree.oldest_age_s * 1000,
        handled=tree.handled,
        restarts=tree.restarts,
        last_error=tree.last_error or "",
        latency=tuple(latency_words(tree)),
        notes=tuple(_notes(tree.facts)),
    )
    for child in tree.children:
        yield from actor_lines(child, depth + 1)


def standing(node: Node) -> tuple[str, Tone]:
    """How an actor stands, in a word."""
    if node.status == "down":
        return "Down, coming back", "bad"
    if node.status != "running":
        return node.status.capitalize(), "waits"
    if node.restarts and node.age_s is not None and node.age_s < JUST_BACK_S:
        return "Just back", "waits"
    return "Running", "good"


def state_word(node: Node) -> str:
    """Where an actor's own machine stands; nothing for one that has none to tell of."""
    for name in ("phase", "peer"):
        if isinstance(node.facts.get(name), str) and node.kind in ("AppSession", "PeerActor"):
            return "" if node.facts[name] == "running" else str(node.facts[name])
    return node.state if node.state.islower() and node.state not in _CONTAINERS else ""


def stages_of(node: Node) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What a node has measured, by stage."""
    stages = node.facts.get("stages")
    for name, stage in (stages if isinstance(stages, Mapping) else {}).items():
        if isinstance(stage, Mapping):
            yield str(name), stage


def latency_words(node: Node) -> Iterator[str]:
    """What an actor has measured: its round trip, the p50 and p99 of each stage of speech."""
    if node.facts.get("round_trip_ms") is not None:
        yield f"round trip {_number(node.facts['round_trip_ms']):.0f} ms"
    for name, stage in stages_of(node):
        if stage.get("p99_ms") is not None:
            yield f"{_STAGES.get(name, name)} {stage.get('p50_ms')} / {stage['p99_ms']} ms"


def _notes(facts: Mapping[str, object]) -> Iterator[str]:
    for name, value in facts.items():
        is_shown = name not in ("stages", "round_trip_ms", "connection") and not isinstance(value, Mapping)
        if is_shown and value not in (None, "", 0, False):
            yield f"{name.replace('_', ' ')} {value}"


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


_NONE: Final = "-"


class Tile(msgspec.Struct, frozen=True):
    """A figure, what it counts, and what there is to add; `key` tells it from the others."""

    value: str
    name: str
    note: str = ""
    key: str = ""


def tiles(figures: Figures, wearers: Iterable[WearerLine]) -> tuple[Tile, ...]:
    """The server in numbers."""
    lines = tuple(wearers)
    phases = [phase for app in figures.apps.values() for phase in app.phases.elements()]
    kinds = figures.kinds.values()
    late_ms = figures.loop.get("p99_ms")
    captions = figures.stages.get("interim", [])
    load = "overloaded" if figures.is_overloaded else "refuses new sessions" if figures.refuses_new else ""

    def count(number: int, one: str, many: str = "") -> str:
        return f"{number:,} {one if number == 1 else many or one + 's'}"

    def tile(number: int, one: str, many: str = "", note: str = "") -> Tile:
        value, _, name = count(number, one, many).partition(" ")
        return Tile(value, name, note, key=one)

    desktops, agents = sum(line.desktops for line in lines), sum(line.agents for line in lines)
    most = max((kind.most_waiting for kind in kinds), default=0)
    return (
        tile(len(lines), "user"),
        tile(figures.phones, "phone", note=count(figures.sessions, "session")),
        tile(phases.count("running"), "app runs", "apps run", count(len(figures.apps), "package")),
        tile(desktops, "desktop", note=count(agents, "agent")),
        tile(
            sum(kind.waiting for kind in kinds), "message waits", "messages wait", f"{most:,} in one mailbox"
        ),
        tile(
            sum(kind.restarts for kind in kinds), "restart", note=f"{sum(kind.down for kind in kinds):,} down"
        ),
        Tile(f"{max(captions):.0f} ms" if captions else _NONE, "captions, worst p99", key="captions"),
        Tile(_NONE if late_ms is None else f"{late_ms} ms", "loop delay, p99", load, key="loop"),
    )


def walk(tree: Node) -> Iterator[Node]:
    """A node and all below, parents first."""
    yield tree
    for child in tree.children:
        yield from walk(child)


def lines_of_all(top: Node) -> tuple[WearerLine, ...]:
    """A line for everybody in the application's tree, in the order of their names."""
    branches: dict[str, dict[str, Node]] = {}
    for part in top.children:
        if part.name in ("users", "desks"):
            for branch in part.children:
                branches.setdefault(branch.name, {})[part.name] = branch
    return tuple(
        wearer_line(user_of(name), parts.get("users"), parts.get("desks"))
        for name, parts in sorted(branches.items())
    )


def user_of(branch: str) -> str:
    """Whose branch that is; the other way round as `branch_name`."""
    return branch.replace("%2F", "/").replace("%25", "%")
