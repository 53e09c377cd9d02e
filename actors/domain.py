"""What every actor of a user's subtree is handed: the ports, the shared actors and the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from runtime import Ref

from .allowance import TrafficLimits
from .apps.lifecycle import LifecycleSettings
from .assistant.rules import RulesModel
from .assistant.settings import AssistantSettings
from .audio.udp import UdpDoor, UdpSettings
from .audio.voice import VoiceSettings
from .cabinet.messages import CabinetMessage
from .cabinet.settings import CabinetSettings
from .console.settings import ConsoleSettings
from .desktop.settings import DesktopSettings
from .directory import BreakerSettings, DirectoryMessage, DirectorySettings
from .display.arbitration import DisplaySettings
from .front.rates import Rates, RateSettings
from .front.settings import FrontDoorSettings
from .journal import JournalMessage
from .language_ports import LanguageModel, Translator
from .liveness import APP_LIVENESS, LivenessSettings
from .microphone import MicrophoneSettings
from .overload import OverloadBoard, OverloadSettings
from .ports import (
    AppDocument,
    EngineLoad,
    Lc3,
    SecretBoxes,
    SpeechProvider,
    Store,
    Telemetry,
    Tokens,
    Voices,
    Webhooks,
)
from .session.request_settings import RequestSettings
from .session.settings import SessionSettings
from .snapshots.messages import SnapshotsMessage
from .snapshots.settings import SnapshotSettings
from .soga.settings import SogaSettings
from .speaking import Speaking
from .speech.history_settings import TranscriptSettings
from .speech.recognisers import Recognisers
from .speech.settings import SpeechSettings
from .speech.translation_settings import TranslationSettings
from .tracing import Tracer
from .webrtc.ports import Media
from .webrtc.settings import WebrtcSettings


@dataclass(frozen=True)
class Urls:
    """Where app servers reach this server.

    Attributes:
      public: http(s) base for apps, without a trailing slash, owner prefix included.
      internal: the same for system apps.
    """

    public: str
    internal: str

    def websocket(self, app: AppDocument) -> str:
        """The URL of the webhook; it must end in /app-ws, REST bases are cut from it (protocol.md 10.2)."""
        base = self.internal if app.is_system else self.public
        return "ws" + base.removeprefix("http") + "/app-ws"


class DomainSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Every timer and limit of the domain, by part."""

    session: SessionSettings = SessionSettings()
    requests: RequestSettings = RequestSettings()
    cabinet: CabinetSettings = CabinetSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    directory: DirectorySettings = DirectorySettings()
    breaker: BreakerSettings = BreakerSettings()
    display: DisplaySettings = DisplaySettings()
    microphone: MicrophoneSettings = MicrophoneSettings()
    liveness: LivenessSettings = LivenessSettings()
    app_liveness: LivenessSettings = APP_LIVENESS
    front_door: FrontDoorSettings = FrontDoorSettings()
    limits: TrafficLimits = TrafficLimits()
    speech: SpeechSettings = SpeechSettings()
    translation: TranslationSettings = TranslationSettings()
    transcripts: TranscriptSettings = TranscriptSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    overload: OverloadSettings = OverloadSettings()
    udp: UdpSettings = UdpSettings()
    webrtc: WebrtcSettings = WebrtcSettings()
    voice: VoiceSettings = VoiceSettings()
    desktop: DesktopSettings = DesktopSettings()
    console: ConsoleSettings = ConsoleSettings()
    assistant: AssistantSettings = AssistantSettings()
    soga: SogaSettings = SogaSettings()
    rates: RateSettings = RateSettings()


@dataclass(frozen=True)
class Ports:
    """The outside, as `config` chose it: real or simulated.

    Attributes:
      translator: None where nobody translates.
      language_model: what the assistant thinks with; rules where there is none.
      speaking: None where nobody speaks.
      tracer: None where no traces are made.
    """

    store: Store
    webhooks: Webhooks
    speech: Sequence[SpeechProvider]
    tokens: Tokens
    telemetry: Telemetry
    load: EngineLoad
    lc3: Lc3
    boxes: SecretBoxes
    media: Media
    voices: Voices
    translator: Translator | None = None
    language_model: LanguageModel = field(default_factory=RulesModel)
    speaking: Speaking | None = None
    tracer: Tracer | None = None


@dataclass(frozen=True)
class Domain:
    """One value handed to every actor of a user's subtree."""

    ports: Ports
    settings: DomainSettings
    urls: Urls
    journal: Ref[JournalMessage]
    directory: Ref[DirectoryMessage]
    cabinet: Ref[CabinetMessage]
    snapshots: Ref[SnapshotsMessage]
    overload: OverloadBoard
    rates: Rates
    udp: UdpDoor
    recognisers: Recognisers
