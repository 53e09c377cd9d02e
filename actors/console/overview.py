"""What the console shows of trees: a line for each wearer, a line for each actor. Pure.

A wearer's line is made of the subtree of their session and that of their desk; either may be missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from runtime import TreeNode

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


def wearer_line(user_id: str, session: TreeNode | None, desk: TreeNode | None) -> WearerLine:
    """One user's line."""
    nodes = [node for tree in (session, desk) if tree is not None for node in tree.walk()]
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


def running_apps(nodes: Iterable[TreeNode]) -> Iterator[RunningApp]:
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


def actor_lines(tree: TreeNode, depth: int = 0) -> Iterator[ActorLine]:
    """A line for each actor, parents first."""
    word, tone = standing(tree)
    yield ActorLine(
        path=tree.path,
        name=tree.name,
        depth=depth,
        word=word,
        tone=tone,
        state=state_word(tree.state),
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


def standing(node: TreeNode) -> tuple[str, Tone]:
    """How an actor stands, in a word."""
    if node.status == "down":
        return "Down, coming back", "bad"
    if node.status != "running":
        return node.status.capitalize(), "waits"
    if node.restarts and node.age_s is not None and node.age_s < JUST_BACK_S:
        return "Just back", "waits"
    return "Running", "good"


def state_word(state: str) -> str:
    """A state's name; nothing for one that is named after a mere container."""
    return "" if state in _CONTAINERS else state


def stages_of(node: TreeNode) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What a node has measured, by stage."""
    stages = node.facts.get("stages")
    for name, stage in (stages if isinstance(stages, Mapping) else {}).items():
        if isinstance(stage, Mapping):
            yield str(name), stage


def latency_words(node: TreeNode) -> Iterator[str]:
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
