"""What a session knows, and what follows from it: the lists on the wire, the stored list, the audio table.

Pure: everything here is a frozen value or a function of one.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from protocols.device_state import GlassesInfo
from protocols.streams import Subscription
from protocols.user_session import UserSession
from runtime import Ref, ReplyTo

from ..apps.lifecycle import Phase
from ..apps.messages import AppMessage
from ..audio.routing import AudioTable, SpeechInlet
from ..cabinet.preferences import Preferences
from ..microphone import MicrophoneState
from ..ports import AppDocument, Connection
from ..speech.messages import SpeechMessage
from ..speech.translation import TranslationMessage
from ..subscriptions import Routing, routing_of
from .last_known import LastKnown
from .requests import Request
from .rtmp import RtmpStream
from .settings import SessionSettings

ACTIVE = (Phase.RUNNING, Phase.GRACE, Phase.RESURRECTING, Phase.DORMANT)
LEAVING = (Phase.STOPPING, Phase.STOPPED)
MISSING = (Phase.GRACE, Phase.RESURRECTING, Phase.DORMANT)
_MOST_TAKEOVERS = 200


class AppEntry(msgspec.Struct, frozen=True):
    """One app of the session.

    Attributes:
      connection: its live connection while it runs.
      is_stored: it belongs on the stored running list: it has run, or a stored list brought it back.
      has_listed: it has sent a list of subscriptions since its last ack.
      is_farewell_told: the app's actor has heard that its stop is announced.
      is_missed: the wearer has read that it does not answer, since it last ran.
    """

    app: AppDocument
    ref: Ref[AppMessage]
    phase: Phase
    connection: Connection | None = None
    subscriptions: tuple[Subscription, ...] = ()
    is_stored: bool = False
    has_listed: bool = False
    is_farewell_told: bool = False
    is_missed: bool = False


class StreamEntry(msgspec.Struct, frozen=True):
    """One open transcription stream."""

    ref: Ref[SpeechMessage]
    inlet: SpeechInlet


class Play(msgspec.Struct, frozen=True):
    """An app's request to play something that the phone has not answered.

    Attributes:
      due_at: when the app is told that it will not, on the system's clock.
    """

    package_name: str
    due_at: float


class SessionState(msgspec.Struct, frozen=True):
    """Everything a crash of the session's actor must not lose.

    Attributes:
      incarnation: unique id of this session, for logs and snapshots (the wire's session id is the user id).
      heard: the languages whose transcription streams the microphone's audio goes to.
      translations: the translation streams, by the pair as the apps write it.
      phone: id of the current phone connection; None while the phone is away.
      acked: the connection whose `connection_ack` went out.
      grace_ends_at: when the phone's absence ends the session, on the system's clock.
      to_boot: packages of the stored list that are still to be started; None until the store answered.
      unserved: languages without a recogniser that works: the phone is asked for what it hears itself.
      starting: starts that wait for the directory or for the app's first RUNNING, with who asked.
      again: packages to start once their stop is through.
      stopping: who waits for a stop to be stored and announced.
      saved: the running list as last handed to the journal.
      saving: token of the newest commit that is not answered yet; 0 when none.
      announced: what the phone was last told of its apps.
      takeovers: when phones of the last minute took over from one that was there.
      sockets: the apps' connections that were open when one was last counted.
      last_known: what a new subscriber is sent at once.
      plays: what apps want played, by request id, until the phone answers.
      is_ending: every app is being stopped because the session is over.
      preferences: the user's settings and installed apps, as they were read or told last.
      location_tier: what the phone was told last; None before the first time.
      requests: what apps have asked of the phone and wait for.
      rtmp: the stream of the glasses' camera, while there is one.
      has_left: the roster was asked to stop the subtree; whoever comes now belongs to the next session.
    """

    user_id: str
    incarnation: str = ""
    started_at: float = 0.0
    started_wall: float = 0.0
    phone: str | None = None
    acked: str | None = None
    grace_ends_at: float | None = None
    to_boot: tuple[str, ...] | None = None
    apps: Mapping[str, AppEntry] = {}
    routing: Routing = routing_of({})
    heard: tuple[str, ...] = ()
    streams: Mapping[str, StreamEntry] = {}
    unserved: tuple[str, ...] = ()
    translations: Mapping[tuple[str, str], Ref[TranslationMessage]] = {}
    microphone: MicrophoneState = MicrophoneState()
    starting: Mapping[str, tuple[ReplyTo[bool | None], ...]] = {}
    stopping: Mapping[str, tuple[ReplyTo[bool | None], ...]] = {}
    again: Mapping[str, tuple[ReplyTo[bool | None], ...]] = {}
    saved: tuple[str, ...] | None = None
    announced: UserSession | None = None
    saving: int = 0
    tokens: int = 0
    glasses: GlassesInfo = GlassesInfo()
    takeovers: tuple[float, ...] = ()
    sockets: tuple[Connection, ...] = ()
    last_known: LastKnown = LastKnown()
    plays: Mapping[str, Play] = {}
    is_ending: bool = False
    preferences: Preferences = Preferences()
    location_tier: str | None = None
    requests: tuple[Request, ...] = ()
    rtmp: RtmpStream | None = None
    has_left: bool = False


def active(state: SessionState) -> tuple[str, ...]:
    """Packages the wearer's phone lists as running."""
    return tuple(package for package, entry in state.apps.items() if entry.phase in ACTIVE)


def loading(state: SessionState) -> tuple[str, ...]:
    """Packages being started for the first time."""
    return tuple(package for package, entry in state.apps.items() if entry.phase is Phase.CONNECTING)


def stored_list(state: SessionState) -> tuple[str, ...]:
    """The running list as it must survive a restart of the server."""
    running = tuple(p for p, entry in state.apps.items() if entry.is_stored and entry.phase not in LEAVING)
    return running + tuple(p for p in state.to_boot or () if p not in running)


def standard_app(state: SessionState) -> str | None:
    """The one running or starting app of type `standard`: the foreground app."""
    for package, entry in state.apps.items():
        if entry.app.app_type == "standard" and entry.phase not in LEAVING:
            return package
    return None


def may_still_start(state: SessionState, package_name: str) -> bool:
    """Whether an app that has no actor may be about to get one: the stored list is not through yet."""
    return state.to_boot is None or package_name in state.to_boot or package_name in state.starting


def compute_routing(state: SessionState) -> Routing:
    """Who wants what, of all apps that are not on their way out."""
    return routing_of(
        {p: entry.subscriptions for p, entry in state.apps.items() if entry.phase not in LEAVING}
    )


def audio_table(state: SessionState) -> AudioTable:
    """Connections and inlets that take the microphone's frames."""
    connections = tuple(
        connection
        for package in state.routing.audio_packages
        if (connection := state.apps[package].connection) is not None
    )
    inlets = tuple(state.streams[language].inlet for language in state.heard if language in state.streams)
    return AudioTable(apps=connections, speech=inlets, is_wanted=state.routing.wants_microphone)


def put_app(state: SessionState, package_name: str, entry: AppEntry) -> SessionState:
    """The state with this entry; the order of first starts is kept."""
    return msgspec.structs.replace(state, apps={**state.apps, package_name: entry})


def with_takeover(state: SessionState, now: float, settings: SessionSettings) -> tuple[SessionState, float]:
    """The state after one more dial of a phone while another is there, and how long that one waits."""
    takeovers = (*(at for at in state.takeovers if now - at < 60.0), now)[-_MOST_TAKEOVERS:]
    beyond = max(0, len(takeovers) - settings.free_takeovers)
    wait_s = min(beyond * settings.takeover_step_s, settings.takeover_wait_s)
    return msgspec.structs.replace(state, takeovers=takeovers), wait_s


def without_app(state: SessionState, package_name: str) -> SessionState:
    return msgspec.structs.replace(state, apps={p: e for p, e in state.apps.items() if p != package_name})
