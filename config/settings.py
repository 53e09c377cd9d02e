"""Every setting there is, with its default.

A default lives in one place, the room that uses it: the groups here are those rooms' own settings, nested. So
`display.throttle_s` is `[display] throttle_s` in a TOML file, `GLASSHOUSE_DISPLAY_THROTTLE_S` in the
environment and `--set display.throttle_s=0.3` on the command line. What belongs to no room stands in
`Settings` itself.

How they are read is in `sources`, how they are described in `reference`.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from actors.allowance import TrafficLimits
from actors.apps.lifecycle import LifecycleSettings
from actors.assistant.settings import AssistantSettings
from actors.audio.udp import UdpSettings
from actors.audio.voice import VoiceSettings
from actors.cabinet.settings import CabinetSettings
from actors.console.settings import ConsoleSettings
from actors.desktop.settings import DesktopSettings
from actors.directory import BreakerSettings, DirectorySettings
from actors.display.arbitration import DisplaySettings
from actors.domain import DomainSettings
from actors.front.rates import RateSettings
from actors.front.settings import FrontDoorSettings
from actors.liveness import APP_LIVENESS, LivenessSettings
from actors.microphone import MicrophoneSettings
from actors.overload import OverloadSettings
from actors.session.request_settings import RequestSettings
from actors.session.settings import SessionSettings
from actors.snapshots.settings import SnapshotSettings
from actors.soga.settings import SogaSettings
from actors.speech.history_settings import TranscriptSettings
from actors.speech.settings import SpeechSettings
from actors.speech.translation_settings import TranslationSettings
from actors.webrtc.settings import WebrtcSettings
from adapters.http.settings import VersionSettings
from adapters.language_model.settings import AnthropicSettings
from adapters.listener.keeper import KeeperSettings
from adapters.listener.listener import ListenerLimits
from adapters.speech.settings import DeepgramSettings, PocketSphinxSettings
from adapters.storage.mongodb.settings import MongoSettings
from adapters.synthesis import FliteSettings
from adapters.telemetry.limits import LineLimits
from adapters.tokens.settings import IdentitySettings
from adapters.tracing.settings import TracingSettings
from adapters.webhooks.settings import WebhookSettings
from adapters.webrtc.settings import MediaSettings
from adapters.websocket.settings import EngineSettings

SECRET = {"secret": True}
"""Marks a setting whose value is shown nowhere."""

SHORTEST_SECRET_BYTES = 32
"""RFC 7518 section 3.2: a key of HS256 has at least the size of its hash."""

_NOT_IN_A_URL = frozenset(' "<>\\^`{|}')

Secret = Annotated[str, Meta(extra=SECRET)]

Recogniser = Literal["deepgram", "pocketsphinx", "none"]

LanguageChoice = Annotated[
    str,
    Meta(pattern=r"^(auto|[a-z]{2,3}(-[A-Z]{2})?)=(deepgram|pocketsphinx|none)(\+(deepgram|pocketsphinx))*$"),
]


class KeeperTimes(msgspec.Struct, frozen=True, kw_only=True):
    """The keeper's patience.

    Attributes:
      predecessor_s: how long a new keeper waits for the port and the data lock of one that is ending.
      start_s: how long a server may take to report that it is ready before it is killed and started again.
      stop_s: how long a server may take to end in order before it is killed.
      settled_s: a server that was ready for so long is no failed start, whatever ends it afterwards.
      max_delay_s: the longest pause between two starts of a server that keeps failing.
      hand_over_s: how long a reload's hand-over from one server to the next may take; then the present one
        goes on.
    """

    predecessor_s: float = KeeperSettings._field_defaults["predecessor_s"]
    start_s: float = KeeperSettings._field_defaults["start_s"]
    stop_s: float = KeeperSettings._field_defaults["stop_s"]
    settled_s: float = KeeperSettings._field_defaults["settled_s"]
    max_delay_s: float = KeeperSettings._field_defaults["max_delay_s"]
    hand_over_s: float = KeeperSettings._field_defaults["hand_over_s"]


class AdminSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the administration may do beside looking.

    Attributes:
      allow_kill: `POST /api/admin/kill` crashes the actor of a path, and operators can in the console. For
        `glasshouse bench resilience` and tests of that kind; without it there is no such route.
    """

    allow_kill: bool = False


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one server.

    Attributes:
      data: the data directory: the store, the token secret, the file of the running server.
      host: the address to listen on. On another than loopback only with `behind_proxy`.
      behind_proxy: a proxy that ends TLS stands in front, and nobody else reaches the port: the server itself
        speaks plain HTTP.
      port: the port to listen on; 0 takes any free one.
      public_url: where app servers and phones reach this server from outside, as http(s)://host[:port]. Empty
        means the address it listens on.
      internal_url: the same for system apps, which run beside the server. Empty means the address it listens
        on.
      allowed_hosts: names and addresses, without a port, by which HTTP may ask for this server; others
        are 421. Empty: any. `/health`, `/ready` and `/metrics` are answered by any name.
      node_name: this server's name among others. With one, the webhook's URL carries it (/o/NAME/app-ws).
      allow_http_apps: accept apps whose URL is http:// and not on loopback. Audio then travels in the clear.
      jwt_secret: what phones' tokens are signed with (HS256), 32 bytes or more. Empty means one that is made
        at random and kept in the data directory.
      former_jwt_secrets: secrets that signed tokens earlier and are still good for checking them.
      store: where documents lie: sqlite is a file in the data directory, mongodb is what `mongodb_uri` names.
      storage_key: what private values in the store are encrypted with (AES-256-GCM), 32 bytes or more. Empty
        leaves them plain.
      former_storage_keys: keys that encrypted values earlier. A start reads them with these and writes them
        anew under the storage key, or plain without one; after it they can go.
      require_token_expiry: refuse a token without an expiry. Empty means: unless only this machine can reach
        the server.
      token_s: a token of `glasshouse user token` is good for so long, where it is not told otherwise; 0 for
        ever.
      app_token_s: the same for tokens of `glasshouse app token`.
      token_check_s: how long it takes at most until a token that was revoked is refused.
      token_audience: refuse a token whose `aud` is another one; empty does not look.
      token_issuer: refuse a token whose `iss` is another one; empty does not look.
      supabase_secret: what an identity provider signs its tokens with (HS256). `POST /auth/exchange-token`
        gives core tokens for those, `supabaseToken` in the request; empty: for none.
      authing_secret: the same for the second provider, whose tokens come as `authingToken`.
      exchanged_token_s: such a core token is good for so long.
      webview_key: the private RSA key, as PEM, that the tokens of apps' web pages are signed with. Empty
        means one that is made and kept in the data directory.
      speech_provider: who recognises speech, the first choice first: the next one takes over where one fails
        or does not know the language. deepgram is left out without a key of it; with none no app gets
        transcriptions.
      speech_by_language: other choices for a language, as LANGUAGE=NAME or LANGUAGE=NAME+NAME; en-IN is asked
        for before en.
      speech_synthesis: what speaks to wearers whose glasses have a speaker. flite is a program of its own;
        where it is missing nothing is spoken.
      translation_provider: who translates speech. anthropic is a language model and needs its key, without
        which nobody translates and apps are told so; test marks texts instead of translating them, for
        developing an app.
      watchdog_s: a handler that holds the whole server for so long ends it, and the keeper starts the next.
      log_level: the least important line that is written.
      log_format: lines for people, coloured where standard error is a terminal; coloured anywhere; or one
        JSON object a line.
      log_burst_lines: how many lines of one event are written at once; the others are counted.
      log_interval_s: one more line of an event is written after so long; 0 writes every line.
      usage_days: so many days are kept of how long each wearer used which apps and features; 0 keeps none.
      browser_glasses: `GET /glasses` is a pair of glasses in a browser, to try an app without hardware. It
        needs a token as any phone does.
      metrics_token: what a Prometheus shows at `GET /metrics`. Empty leaves the admin token alone, which
        changes with each start.
      mongodb_uri: where MongoDB is, as mongodb://USER:PASSWORD@HOST:PORT/?replicaSet=NAME or mongodb+srv://...
      anthropic_api_key: the key of Anthropic's models. With it speech is translated, and the assistant thinks
        with them; without one it goes by rules.
      anthropic_base_url: where they are reached, without /v1; empty means at Anthropic.
      deepgram_api_key: a key of the Deepgram recogniser.
      deepgram_api_keys: further keys of it, in the order they take over when one fails: of other projects,
        since limits and credits belong to a project.
    """

    data: str = ""
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    behind_proxy: bool = False
    port: Annotated[int, Meta(ge=0, le=65535)] = 8002
    public_url: str = ""
    internal_url: str = ""
    allowed_hosts: tuple[str, ...] = ()
    node_name: Annotated[str, Meta(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$")] = ""
    allow_http_apps: bool = False
    jwt_secret: Secret = ""
    former_jwt_secrets: Annotated[tuple[str, ...], Meta(extra=SECRET)] = ()
    store: Literal["sqlite", "mongodb"] = "sqlite"
    mongodb_uri: Annotated[str, Meta(pattern=r"^(mongodb(\+srv)?://\S+)?$", extra=SECRET)] = ""
    storage_key: Secret = ""
    former_storage_keys: Annotated[tuple[str, ...], Meta(extra=SECRET)] = ()
    require_token_expiry: bool | None = None
    token_s: float = 90 * 86_400.0
    app_token_s: float = 365 * 86_400.0
    token_check_s: Annotated[float, Meta(ge=0.1, le=60)] = 1.0
    token_audience: str = ""
    token_issuer: str = ""
    deepgram_api_key: Secret = ""
    deepgram_api_keys: Annotated[tuple[str, ...], Meta(extra=SECRET)] = ()
    supabase_secret: Secret = ""
    authing_secret: Secret = ""
    exchanged_token_s: Annotated[float, Meta(ge=60)] = 30 * 86_400.0
    webview_key: Secret = ""
    speech_provider: tuple[Recogniser, ...] = ("deepgram", "pocketsphinx")
    speech_by_language: tuple[LanguageChoice, ...] = ()
    speech_synthesis: Literal["flite", "none"] = "flite"
    translation_provider: Literal["anthropic", "test", "none"] = "anthropic"
    anthropic_api_key: Secret = ""
    anthropic_base_url: Annotated[str, Meta(pattern=r"^(https?://[^\s?#]+)?$")] = ""
    watchdog_s: Annotated[float, Meta(gt=0)] = 20.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "coloured", "json"] = "text"
    log_burst_lines: Annotated[int, Meta(ge=1)] = LineLimits().burst_lines
    log_interval_s: float = LineLimits().interval_s
    usage_days: Annotated[int, Meta(ge=0)] = 90
    browser_glasses: bool = True
    metrics_token: Secret = ""

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
    anthropic: AnthropicSettings = AnthropicSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    overload: OverloadSettings = OverloadSettings()
    udp: UdpSettings = UdpSettings()
    webrtc: WebrtcSettings = WebrtcSettings()
    media: MediaSettings = MediaSettings()
    voice: VoiceSettings = VoiceSettings()
    mongodb: MongoSettings = MongoSettings()
    desktop: DesktopSettings = DesktopSettings()
    assistant: AssistantSettings = AssistantSettings()
    soga: SogaSettings = SogaSettings()
    flite: FliteSettings = FliteSettings()
    tracing: TracingSettings = TracingSettings()
    console: ConsoleSettings = ConsoleSettings()
    deepgram: DeepgramSettings = DeepgramSettings()
    pocketsphinx: PocketSphinxSettings = PocketSphinxSettings()
    webhooks: WebhookSettings = WebhookSettings()
    engine: EngineSettings = EngineSettings()
    listener: ListenerLimits = ListenerLimits()
    versions: VersionSettings = VersionSettings()
    keeper: KeeperTimes = KeeperTimes()
    admin: AdminSettings = AdminSettings()
    identity: IdentitySettings = IdentitySettings()
    rates: RateSettings = RateSettings()

    @property
    def domain(self) -> DomainSettings:
        """What the actors are handed."""
        return DomainSettings(
            session=self.session,
            requests=self.requests,
            cabinet=self.cabinet,
            lifecycle=self.lifecycle,
            directory=self.directory,
            breaker=self.breaker,
            display=self.display,
            microphone=self.microphone,
            liveness=self.liveness,
            app_liveness=self.app_liveness,
            front_door=msgspec.structs.replace(self.front_door, proxy_hops=self.proxy_hops),
            limits=self.limits,
            speech=self.speech,
            translation=self.translation,
            transcripts=self.transcripts,
            snapshots=self.snapshots,
            overload=self.overload,
            udp=self.udp,
            webrtc=self.webrtc,
            voice=self.voice,
            desktop=self.desktop,
            assistant=self.assistant,
            soga=self.soga,
            console=self.console,
            rates=self.rates,
        )

    @property
    def proxy_hops(self) -> int:
        """How many proxies stand in front of the server."""
        return self.front_door.proxy_hops if self.behind_proxy else 0

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    @property
    def must_tokens_expire(self) -> bool:
        """Whether a token without an expiry is refused: where others reach the server, if nothing is said."""
        if self.require_token_expiry is None:
            return not self.is_loopback or self.behind_proxy
        return self.require_token_expiry


ALIASES: dict[str, tuple[str, ...]] = {
    "port": ("PORT",),
    "jwt_secret": ("AUGMENTOS_AUTH_JWT_SECRET",),
    "supabase_secret": ("SUPABASE_JWT_SECRET",),
    "display.dashboard_package": ("SYSTEM_DASHBOARD_PACKAGE_NAME",),
    "webrtc.allow_local": ("GLASSHOUSE_WEBRTC_LOCAL",),
    "mongodb_uri": ("MONGODB_URI",),
    "assistant.fast_model": ("MODEL_FAST",),
    "assistant.smart_model": ("MODEL_SMART",),
    "anthropic_api_key": ("ANTHROPIC_API_KEY",),
    "anthropic_base_url": ("ANTHROPIC_BASE_URL",),
    "deepgram_api_key": ("DEEPGRAM_API_KEY",),
    "soga.package_name": ("PACKAGE_NAME",),
    "soga.api_key": ("MENTRAOS_API_KEY",),
}
"""Environment variables that mean a setting beside its own `GLASSHOUSE_` name: those of the systems it
replaces, and one that is known by a shorter name (protocol.md 13.10)."""


def is_loopback(host: str) -> bool:
    """Whether `host` can only mean this machine. A name other than localhost is not looked up."""
    bare = host.strip("[]")
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:  # a name
        return bare == "localhost" or bare.endswith(".localhost")


def web_url_problem(url: str, *, allow_http: bool) -> str | None:
    """What is wrong with the address of an app or of this server; None when it will do.

    http is for loopback, where nobody listens in, and for whom `allow_http` lets.
    """
    expected = "expected http(s)://HOST[:PORT][/PATH]"
    if not url.isprintable() or not _NOT_IN_A_URL.isdisjoint(url):  # urlsplit lets them pass, or drops them
        return "expected a URL without blanks and other characters that a URL cannot hold"
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:  # brackets around what is no address; a port that is no number, or too large a one
        return expected
    if parts.scheme not in {"http", "https"} or not parts.hostname or not has_port:
        return expected
    if parts.username is not None or parts.query or parts.fragment:
        return "expected a URL without a user, a query or a fragment"
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname):
        return "expected https:// (http:// only for this machine, or with the setting allow_http_apps)"
    return None


def base_urls(settings: Settings, host: str, port: int) -> tuple[str, str]:
    """The public and the internal URL of a server that listens on `host` and `port`; no slash at the end.

    A server that listens on every address is reached by its neighbours on loopback.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # a name
        reachable = host
    else:
        reachable = ("127.0.0.1" if address.version == 4 else "::1") if address.is_unspecified else host
    bound = f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
    prefix = f"/o/{settings.node_name}" if settings.node_name else ""
    return (
        (settings.public_url or bound).rstrip("/") + prefix,
        (settings.internal_url or bound).rstrip("/") + prefix,
    )
