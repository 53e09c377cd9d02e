"""The whole server in numbers: what the trees of its users add up to.

Pure. A user's subtree is added at a time, so that whoever collects may let others run in between. Nothing in
it grows with the number of users: apps are counted by package, actors by their class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final, Protocol

STAGES: Final = ("arrival", "decode", "send", "interim", "final", "delivery")
_BYTES: Final = ("bytes_in", "bytes_out", "queued_bytes", "audio_dropped")


class Node(Protocol):
    """What is needed of the runtime's `TreeNode`, which is also what the command line reads."""

    @property
    def path(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def depth(self) -> int: ...
    @property
    def high_water(self) -> int: ...
    @property
    def oldest_age_s(self) -> float | None: ...
    @property
    def handled(self) -> int: ...
    @property
    def worked_s(self) -> float: ...
    @property
    def restarts(self) -> int: ...
    @property
    def last_error(self) -> str | None: ...
    @property
    def age_s(self) -> float | None: ...
    @property
    def facts(self) -> Mapping[str, object]: ...
    @property
    def children(self) -> Sequence[Node]: ...


class AppFigures:
    """One package, over everybody who runs it.

    Attributes:
      phases: how many of its sessions are in which.
      restarts: of the actors of these sessions.
      handled: messages that these actors have taken, and worked_s how long that took them.
      errors: what went wrong with these sessions, by type.
      traffic: `bytes_in`, `bytes_out`, `queued_bytes` and `audio_dropped` of the open sockets.
      open_s: of each socket, how long it has been open.
    """

    def __init__(self) -> None:
        self.phases: Counter[str] = Counter()
        self.restarts = 0
        self.handled = 0
        self.worked_s = 0.0
        self.errors: Counter[str] = Counter()
        self.traffic: Counter[str] = Counter()
        self.open_s: list[float] = []


class KindFigures:
    """All actors of one class."""

    def __init__(self) -> None:
        self.actors = 0
        self.down = 0
        self.restarts = 0
        self.handled = 0
        self.worked_s = 0.0
        self.waiting = 0
        self.most_waiting = 0
        self.oldest_s = 0.0


class Figures:
    """What has been added so far.

    Attributes:
      kinds, apps: by an actor's class, by package.
      providers: transcription streams by the recogniser that hears them; an empty name is none.
      delayed: streams whose wearer reads that captions are late.
      falling_behind: streams whose recogniser falls further and further behind.
      stages: of each stage every stream's p99 in ms.
      sources: microphones by where they are heard from.
      phone_traffic, phone_round_trips_ms: of the phones' open sockets.
      peers: WebRTC peers by the state of their link; peer_figures: their loss, jitter and round trip.
      session_s: of each session, since when it stands.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, KindFigures] = {}
        self.apps: dict[str, AppFigures] = {}
        self.providers: Counter[str] = Counter()
        self.delayed = 0
        self.falling_behind = 0
        self.stages: dict[str, list[float]] = {}
        self.sources: Counter[str] = Counter()
        self.sessions = 0
        self.session_s: list[float] = []
        self.phones = 0
        self.phone_traffic: Counter[str] = Counter()
        self.phone_round_trips_ms: list[float] = []
        self.peers: Counter[str] = Counter()
        self.peer_figures: dict[str, list[float]] = {}
        self.loop: Mapping[str, int] = {}
        self.is_overloaded = self.refuses_new = self.is_rising = False

    def add(self, nodes: Iterable[Node]) -> None:
        """Count these actors; they come without those below them."""
        for node in nodes:
            self._count(node)
            facts = node.facts
            match node.kind:
                case "UserSession":
                    self.sessions += 1
                    self.session_s.append(_number(facts.get("session_s")))
                case "GlassesLink":
                    self._phone(facts)
                case "AppSession":
                    self._app(node)
                case "AudioActor":
                    self.sources[str(facts.get("source", ""))] += 1
                    self._stages(facts)
                case "TranscriptionStream":
                    self.providers[str(facts.get("provider", ""))] += 1
                    self.delayed += bool(facts.get("captions delayed"))
                    self.falling_behind += bool(facts.get("falling behind"))
                    self._stages(facts)
                case "PeerActor" if facts.get("peer") is not None:
                    self.peers[str(facts["peer"])] += 1
                    for name in ("loss", "jitter_ms", "round_trip_ms"):
                        if facts.get(name) is not None:
                            self.peer_figures.setdefault(name, []).append(_number(facts[name]))
                case "Overload":
                    loop = facts.get("loop")
                    self.loop = loop if isinstance(loop, Mapping) else {}
                    self.is_overloaded = bool(facts.get("overloaded"))
                    self.refuses_new = bool(facts.get("refuses_new"))
                    self.is_rising = bool(facts.get("rising"))
                case _:
                    pass

    def _count(self, node: Node) -> None:
        name = node.kind or "(down)"
        kind = self.kinds.get(name)
        if kind is None:
            kind = self.kinds[name] = KindFigures()
        kind.actors += 1
        kind.down += node.status == "down"
        kind.restarts += node.restarts
        kind.handled += node.handled
        kind.worked_s += node.worked_s
        kind.waiting += node.depth
        kind.most_waiting = max(kind.most_waiting, node.depth)
        kind.oldest_s = max(kind.oldest_s, node.oldest_age_s or 0.0)

    def _phone(self, facts: Mapping[str, object]) -> None:
        if "connection" not in facts:
            return
        self.phones += 1
        for name in _BYTES:
            self.phone_traffic[name] += int(_number(facts.get(name)))
        if facts.get("round_trip_ms") is not None:
            self.phone_round_trips_ms.append(_number(facts["round_trip_ms"]))

    def _app(self, node: Node) -> None:
        app = self.apps.setdefault(node.name, AppFigures())
        app.phases[str(node.facts.get("phase", ""))] += 1
        app.restarts += node.restarts
        app.handled += node.handled
        app.worked_s += node.worked_s
        errors = node.facts.get("errors")
        if isinstance(errors, Mapping):
            app.errors.update({str(kind): int(_number(count)) for kind, count in errors.items()})
        if "connection" in node.facts:
            app.open_s.append(_number(node.facts.get("open_s")))
            for name in _BYTES:
                app.traffic[name] += int(_number(node.facts.get(name)))

    def _stages(self, facts: Mapping[str, object]) -> None:
        stages = facts.get("stages")
        if not isinstance(stages, Mapping):
            return
        for name, stage in stages.items():
            if isinstance(stage, Mapping) and stage.get("p99_ms") is not None:
                self.stages.setdefault(str(name), []).append(_number(stage["p99_ms"]))


def middle_and_worst(values: list[float]) -> tuple[float, float]:
    """Of values that there are."""
    return median(values), max(values)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
