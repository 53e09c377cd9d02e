"""What wearers use, by the day: how long their sessions last, which apps run, which features.

Pure. It is sampled: whoever looks at a user's tree once a minute adds the minute to what is there at that
moment. So it costs the sessions nothing, no crash of theirs loses or doubles any of it, and a figure is right
to about a minute a session.

It is no metric: a label for every wearer would grow a metrics store without bound, and says who is where to
whoever may look at a graph. Each user has a document a day, which the operator asks for by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from runtime import TreeNode

COLLECTION: Final = "usage"
MOST_APPS: Final = 50
OTHER: Final = "(other)"
_WAY: Final = {
    "webrtc": "microphone by WebRTC",
    "udp": "microphone by UDP",
    "websocket": "microphone by WebSocket",
}


class Seen(msgspec.Struct, frozen=True):
    """One look at a user's tree.

    Attributes:
      session_s: since when the session stands.
      apps: packages that run.
      features: names of what is in use: a phone, the microphone and its way, transcription, translation.
    """

    session_s: float
    apps: tuple[str, ...]
    features: tuple[str, ...]


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """One user's day.

    Attributes:
      day: of the calendar in UTC, as 2026-11-21.
      sessions: how many began.
      session_s: how long there was one.
      apps, features: how long each was there; of more than 50 apps the rest is `(other)`.
    """

    day: str
    sessions: int = 0
    session_s: float = 0.0
    apps: Mapping[str, float] = {}
    features: Mapping[str, float] = {}


def seen(nodes: Iterable[TreeNode]) -> Seen | None:
    """What these actors, a user's, say; None without a session."""
    session_s: float | None = None
    apps: list[str] = []
    features: dict[str, None] = {}
    for node in nodes:
        facts = node.facts
        match node.kind:
            case "UserSession":
                stands_s = facts.get("session_s")
                session_s = float(stands_s) if isinstance(stands_s, int | float) else 0.0
            case "AppSession" if facts.get("phase") == "running":
                apps.append(node.name)
            case "GlassesLink" if "connection" in facts:
                features["phone"] = None
            case "AudioActor" if facts.get("source") in _WAY:
                features[_WAY[str(facts["source"])]] = None
            case "TranscriptionStream":
                features["transcription"] = None
            case "TranslationStream":
                features["translation"] = None
            case _:
                pass
    return None if session_s is None else Seen(session_s, tuple(apps), tuple(features))


def added(usage: Usage, look: Seen, elapsed_s: float) -> Usage:
    """The day with what was seen, for the time since the last look.

    A session that is younger than that has begun since; how long before this look is known.
    """
    is_new = look.session_s < elapsed_s
    lasted_s = min(elapsed_s, look.session_s)
    apps = dict(usage.apps)
    for name in look.apps:
        place = name if name in apps or len(apps) < MOST_APPS else OTHER
        apps[place] = apps.get(place, 0.0) + lasted_s
    features = dict(usage.features)
    for name in look.features:
        features[name] = features.get(name, 0.0) + lasted_s
    return replace(
        usage,
        sessions=usage.sessions + is_new,
        session_s=usage.session_s + lasted_s,
        apps=apps,
        features=features,
    )


def key_of(user_id: str, day: str) -> str:
    """The key of that day's document."""
    return f"{day} {user_id}"
