"""What the domain needs from outside, as Protocols.

Adapters implement these (one real, one simulated twin each); `config` hands them in. Nothing here does
anything: the types are the contract, and the conformance suites in tests/ hold every implementation to it.

Two conventions. A method without `async` never blocks and never waits. A method with `async` is called from a
supervised task, never from a handler.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from .document_ports import DocumentChange, StoredDocument
from .identity_ports import TokenError as TokenError
from .identity_ports import Tokens as Tokens

# ---------------------------------------------------------------------------------------------------------
# Connections: what the WebSocket engine offers (DESIGN sections 3 and 9)


class Lane(enum.Enum):
    """How an outgoing message is queued while its peer is slow."""

    CONTROL = "control"  # never dropped; past the connection's limit the peer is closed with 1013
    DISPLAY = "display"  # the newest per key replaces the one still waiting
    AUDIO = "audio"  # the oldest goes once about one second (32,000 bytes) waits


class Outgoing:
    """One message to one or many peers. The engine builds its wire form once and keeps it in `wire`."""

    __slots__ = ("is_text", "key", "lane", "payload", "wire")

    def __init__(
        self, payload: bytes, *, is_text: bool = True, lane: Lane = Lane.CONTROL, key: str = ""
    ) -> None:
        self.payload = payload
        self.is_text = is_text
        self.lane = lane
        self.key = key
        self.wire: bytes | None = None


class CloseInfo(msgspec.Struct, frozen=True):
    """How a connection ended.

    Attributes:
      code: the peer's close code; 1005 when its close frame had none, 1006 when there was no close frame.
      reason: the peer's text, at most 123 bytes, unescaped: never log it raw. Ours where the peer left none.
      by_us: we began the closing.
      was_reset: the socket ended with an error (a reset), not an orderly end.
    """

    code: int
    reason: str = ""
    by_us: bool = False
    was_reset: bool = False


class ConnectionHealth(msgspec.Struct):
    """Counters of one connection, kept up to date by the engine. Times are the engine clock's seconds."""

    opened_at: float
    last_activity_at: float  # any bytes from the peer
    round_trip_s: float | None = None  # of the last answered protocol ping
    has_shown_pongs: bool = False
    missed_pongs: int = 0  # protocol pings in a row without an answer
    bytes_in: int = 0
    bytes_out: int = 0
    messages_in: int = 0
    messages_out: int = 0
    queued_bytes: int = 0
    audio_dropped: int = 0  # messages of the audio lane dropped because the peer was slow
    display_replaced: int = 0


class Connection(Protocol):
    """One open WebSocket. It belongs to the engine, not to an actor. No call blocks; none raises."""

    @property
    def id(self) -> str: ...
    @property
    def peer(self) -> str: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def health(self) -> ConnectionHealth: ...
    @property
    def waiting_bytes(self) -> int:
        """Received behind the message that is being handed over: how old that one is."""

    def send(self, message: Outgoing) -> bool:
        """Send or queue; False when it is closed, or the message was dropped by its lane's rule."""

    def ping(self) -> None:
        """Send a protocol ping; its answer shows in `health`."""

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake; the socket ends when the peer answers or after the engine's close
        timeout.
        """

    def abort(self) -> None:
        """End the socket at once, without a handshake."""

    def bind(self, handler: ConnectionHandler) -> None:
        """From now on `handler` hears of this connection."""


class ConnectionHandler(Protocol):
    """Who hears of a connection. Plain calls from the engine: they must be quick and must not wait.

    An exception in one of them goes to `failed`, never into the engine.
    """

    def opened(self, connection: Connection) -> None: ...
    def text(self, connection: Connection, payload: bytes) -> None: ...
    def binary(self, connection: Connection, payload: bytes) -> None: ...
    def closed(self, connection: Connection, info: CloseInfo) -> None: ...
    def failed(self, connection: Connection, error: Exception) -> None: ...


class Upgrade(msgspec.Struct, frozen=True):
    """A WebSocket upgrade request, parsed. Header names are lower case; `path` is without owner prefix and
    query.
    """

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    peer: str
    owner: str | None = None


class Admitted(msgspec.Struct, frozen=True):
    """The upgrade is answered with 101 and `handler` is bound."""

    handler: ConnectionHandler


class Refused(msgspec.Struct, frozen=True):
    """The upgrade is answered with `status` and this JSON body, and the socket is closed."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


class Gate(Protocol):
    """Decides about upgrades to one path."""

    async def admit(self, upgrade: Upgrade) -> Admitted | Refused: ...


class EngineLoad(Protocol):
    """How far behind the engine is. `actors.overload` asks; no call blocks."""

    def watch(self, alarm_s: float, alarm: Callable[[], None]) -> None:
        """Call `alarm` when something has waited for `alarm_s`, once until the next `take_longest_s`."""

    def take_longest_s(self) -> float:
        """The longest that anything which had arrived can have waited since the last call."""

    def take_work_share(self) -> float:
        """Which share of the time since the last call this process computed, of one core."""


# ---------------------------------------------------------------------------------------------------------
# Storage (DESIGN section 7)


class Permission(msgspec.Struct, frozen=True):
    type: str
    description: str = ""


class HardwareRequirement(msgspec.Struct, frozen=True):
    type: str
    level: str  # REQUIRED or OPTIONAL
    description: str = ""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key beside an app's own, good until then (epoch seconds): a `former` one, or that of a `token`."""

    hashed: str
    until_s: float | None = None
    purpose: str = "former"


class AppDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An app of the catalogue. `hashed_api_key` is sha256 hex of the key's text (protocol.md 3.2); `owner` is
    who may see its figures in the console, a mail address."""

    package_name: str
    public_url: str
    hashed_api_key: str
    name: str
    app_type: str = "background"  # standard, background or system_dashboard
    is_system: bool = False
    description: str = ""
    logo_url: str = ""
    webview_url: str = ""
    version: str = "1.0.0"
    permissions: tuple[Permission, ...] = ()
    settings_schema: tuple[msgspec.Raw, ...] = ()  # JSON objects as given (protocol.md 9.3)
    tools: tuple[msgspec.Raw, ...] = ()  # JSON objects as given (protocol.md 9.8)
    hardware: tuple[HardwareRequirement, ...] = ()
    owner: str = ""
    more_keys: tuple[ApiKey, ...] = ()


class UserDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A user. `running_apps` is the stored running list, in the order of their starts."""

    user_id: str
    created_at_ms: int
    running_apps: tuple[str, ...] = ()


class PutApp(msgspec.Struct, frozen=True):
    app: AppDocument


class RemoveApp(msgspec.Struct, frozen=True):
    package_name: str


class PutUser(msgspec.Struct, frozen=True):
    """Make the user if it is not there; change nothing if it is."""

    user_id: str
    created_at_ms: int


class SetRunningApps(msgspec.Struct, frozen=True):
    user_id: str
    running_apps: tuple[str, ...]


Change = PutApp | RemoveApp | PutUser | SetRunningApps | DocumentChange


class Claim(msgspec.Struct, frozen=True):
    """What a process gets that makes itself a user's owner.

    Attributes:
      epoch: of this ownership; each claim of a user has a higher one than all before it.
      snapshot: what the last owner left; None when there is none.
    """

    epoch: int
    snapshot: bytes | None = None


class SnapshotToSave(msgspec.Struct, frozen=True):
    """A user's session as it stands, from the owner of `epoch`."""

    user_id: str
    epoch: int
    body: bytes


class KeptTranscript(msgspec.Struct, frozen=True):
    """A piece of what a user said, at that moment of the calendar, in a form of the domain's."""

    user_id: str
    result_id: str
    at_ms: int
    body: bytes


class StorageError(Exception):
    """The store could not answer. `retry_after_s` says when it is worth asking again."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def retry_after_s(error: Exception) -> float:
    """When it is worth asking again after `error`: what the store said, else a second."""
    return error.retry_after_s if isinstance(error, StorageError) else 1.0


class Store(Protocol):
    """Documents that outlive the process. Every method raises StorageError and nothing else."""

    async def commit(self, changes: Sequence[Change]) -> None:
        """Apply all changes in order, or none; durable when it returns."""

    async def find_app(self, package_name: str) -> AppDocument | None: ...
    async def list_apps(self) -> tuple[AppDocument, ...]:
        """All apps, ordered by package name."""

    async def find_user(self, user_id: str) -> UserDocument | None: ...

    async def find_document(self, collection: str, key: str) -> StoredDocument | None: ...

    async def list_documents(
        self, collection: str, user_id: str | None, limit: int, *, only_unfinished: bool = False
    ) -> tuple[StoredDocument, ...]:
        """The newest first, then by key; of everybody where `user_id` is None."""

    async def list_unfinished_users(self, collections: Sequence[str]) -> tuple[str, ...]:
        """Who has an unfinished document in one of these, in the order of their names."""

    async def claim_user(self, user_id: str) -> Claim:
        """Become the user's owner: from here on no earlier owner's snapshot is taken.

        It outlives the process when it returns; a power cut may undo it with all that was saved under it.
        """

    async def save_snapshots(self, snapshots: Sequence[SnapshotToSave]) -> tuple[str, ...]:
        """Replace the snapshots of users who are still owned by the given epoch, all in one go.

        They outlive the process when it returns; a power cut may undo them.

        Returns:
          The users owned by somebody else by now; nothing of theirs was written.
        """

    async def forget_snapshot(self, user_id: str, epoch: int) -> None:
        """Remove the user's snapshot and transcripts, if the owner is that of `epoch`. The epoch stays."""

    async def list_snapshots(self) -> Mapping[str, int]:
        """The epoch of every user who has a snapshot, by user id."""

    async def keep_transcripts(self, kept: Sequence[KeptTranscript], before_ms: int) -> None:
        """Put these, and remove everybody's from before `before_ms`. As lasting as snapshots."""

    async def find_transcripts(self, user_id: str) -> tuple[bytes, ...]:
        """The bodies of the user's, the oldest first."""

    async def forget_transcripts(self, user_id: str) -> None:
        """Remove all of the user's."""

    async def aclose(self) -> None: ...


# ---------------------------------------------------------------------------------------------------------
# Webhooks: the HTTP the cloud calls on app servers (protocol.md 1.4)


class WebhookAnswer(msgspec.Struct, frozen=True):
    status: int
    body: bytes = b""  # at most 64 KiB of it


class WebhookError(Exception):
    """No answer.

    `kind` is one of:
      refused: nobody listens, the process is gone.
      unreachable: no connection for another reason, for instance no route.
      dns, tls: the name is not known; the certificate or the handshake is not good.
      busy: too many calls of ours are out, and none of their places became free in time.
      timeout: no answer in time. too_slow: the answer began and did not end in time.
      protocol: the connection ended early, or what came is not HTTP.

    Only for the first five is it certain that the app server did not see the call.
    """

    def __init__(self, kind: str, url: str, cause: str) -> None:
        super().__init__(f"POST {url}: {kind}: {cause}")
        self.kind = kind
        self.url = url
        self.cause = cause


class ProbeOutcome(enum.Enum):
    """What a probe says of an app server.

    Only a refused connection proves that its process is gone: a name that is not known, a host without a
    route, a certificate or a time-out may as well be the network's, or ours, with the process alive behind.
    """

    ANSWERS = "answers"  # somebody answers HTTP there, with any status
    REFUSED = "refused"  # nobody listens
    UNKNOWN = "unknown"  # it could not be asked, or did not answer in time


NO_HEADERS: Mapping[str, str] = {}


class Webhooks(Protocol):
    async def post(
        self, url: str, body: bytes, *, timeout_s: float, headers: Mapping[str, str] = NO_HEADERS
    ) -> WebhookAnswer:
        """POST once; JSON, unless `headers` name another Content-Type. Raises WebhookError."""

    async def probe(self, url: str, *, timeout_s: float) -> ProbeOutcome:
        """GET `url` once and say who is there. Never raises."""

    async def aclose(self) -> None: ...


# ---------------------------------------------------------------------------------------------------------
# Speech (DESIGN sections 6 and 12, protocol.md section 7)


class SpeechRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a transcription stream asks of a provider. Audio is PCM s16le mono."""

    language: str  # en-US, or auto
    user_id: str
    sample_rate_hz: int = 16_000
    hints: tuple[str, ...] = ()
    pause_ms: int = 300  # `finalize` is told so long after the last voice, at the earliest


class Interim(msgspec.Struct, frozen=True, kw_only=True):
    """A changed guess at the running utterance. It replaces the guess before it."""

    text: str
    start_ms: int  # since the stream's first audio
    end_ms: int
    confidence: float | None = None
    detected_language: str | None = None


class Final(msgspec.Struct, frozen=True, kw_only=True):
    """The utterance as it stands. The next result belongs to a new utterance."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float | None = None
    detected_language: str | None = None


class Delayed(msgspec.Struct, frozen=True):
    """Recognition cannot keep up (no free worker): the wearer is told "captions delayed"."""

    reason: str


class Recovered(msgspec.Struct, frozen=True):
    """Recognition keeps up again."""


class AudioDropped(msgspec.Struct, frozen=True):
    """Audio older than the limit was dropped before it was recognised."""

    duration_ms: int


SpeechEvent = Interim | Final | Delayed | Recovered | AudioDropped


class SpeechError(Exception):
    """A provider's stream failed. `kind`: network, auth, quota, rate, protocol, worker, closed."""

    def __init__(self, provider: str, kind: str, cause: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(f"{provider}: {kind}: {cause}")
        self.provider = provider
        self.kind = kind
        self.cause = cause
        self.retry_after_s = retry_after_s


class SpeechProgress(msgspec.Struct, frozen=True):
    """How far a stream is in its audio, in ms since its first; none of them ever goes back.

    Attributes:
      sent_ms: the recogniser itself (its socket, its process) has been given the audio before this.
      heard_ms: it has worked the audio before this off, whether there was anything to say about it or not.
      settled_ms: nothing more will be said about the audio before this: another stream goes on from here.
      send_p99_ms: how long audio waited for the recogniser's socket lately; None where that is not measured.
    """

    sent_ms: int = 0
    heard_ms: int = 0
    settled_ms: int = 0
    send_p99_ms: int | None = None


class SpeechStream(Protocol):
    """An open stream. `offer` never blocks and is called for every microphone frame."""

    @property
    def progress(self) -> SpeechProgress: ...
    def offer(self, pcm: bytes) -> None: ...
    def finalize(self) -> None:
        """Nothing was said in the last `pause_ms` of what was offered: emit the pending utterance as final
        soon.
        """

    async def run(self) -> None:
        """Recognise until cancelled. Raises SpeechError when the provider fails."""


class SpeechProvider(Protocol):
    """A recogniser."""

    @property
    def name(self) -> str: ...
    def supports(self, language: str) -> bool: ...
    def open(self, request: SpeechRequest, emit: Callable[[SpeechEvent], None]) -> SpeechStream:
        """Make a stream; nothing happens before its `run`. Audio offered before `run` is kept (bounded)."""


# ---------------------------------------------------------------------------------------------------------
# Voice activity (protocol.md 7.3, 7.4)


class VoiceHeard(msgspec.Struct, frozen=True):
    """What a detector says of all it has heard.

    Attributes:
      quiet_ms: since the last voice, or since the beginning where there was none; 0 while somebody speaks.
      is_clear: the voice stands out of the noise, so that a short pause in it is one for certain.
    """

    quiet_ms: int
    is_clear: bool = True


class VoiceDetector(Protocol):
    """One microphone's. Audio is PCM s16le mono at 16 kHz, in whatever pieces it comes."""

    def hear(self, pcm: bytes) -> VoiceHeard:
        """Some more audio, every byte of it once. At most 0.4 ms of work for a second of it."""


class Voices(Protocol):
    """Hears whether somebody speaks."""

    def detector(self) -> VoiceDetector:
        """A new one; forgotten with its last reference."""


# ---------------------------------------------------------------------------------------------------------
# LC3, the glasses' codec: 16 kHz, frames of 10 ms (DESIGN section 12, protocol.md 7.1)


class Lc3Decoder(Protocol):
    """One stream of LC3. Plain calls of some microseconds a frame that never raise for what is in a frame."""

    @property
    def damaged(self) -> int:
        """Frames so far whose contents could not be LC3; they were concealed."""

    def decode(self, frames: bytes) -> bytes:
        """Whole frames, one after another, as PCM s16le: 320 bytes for each."""

    def conceal(self, count: int) -> bytes:
        """PCM in the place of `count` lost frames: the voice goes on, and fades out."""


class Lc3(Protocol):
    """The codec. It remembers nothing: a decoder is forgotten with its last reference."""

    def decoder(self, frame_bytes: int) -> Lc3Decoder:
        """A new stream's decoder, for frames of 20, 40 or 60 bytes; a few microseconds."""


# ---------------------------------------------------------------------------------------------------------
# Encryption of datagrams (protocol.md 7.1)


class SecretBoxes(Protocol):
    """XSalsa20-Poly1305 with keys of 32 bytes."""

    def new_key(self) -> bytes:
        """A key that nobody can guess."""

    def open(self, key: bytes, sealed: bytes) -> bytes | None:
        """What is in a nonce of 24 bytes with its box; None when it is none, or not of this key."""


# ---------------------------------------------------------------------------------------------------------
# Telemetry: one call logs a fact and counts it


class Telemetry(Protocol):
    """Every event name is also a counter. Values of fields are escaped by the implementation."""

    def debug(self, event: str, **fields: object) -> None: ...
    def info(self, event: str, **fields: object) -> None: ...
    def warning(self, event: str, **fields: object) -> None: ...
    def error(self, event: str, **fields: object) -> None: ...
    def count(self, event: str, amount: int = 1) -> None:
        """Count without a log line (hot paths)."""

    def counters(self) -> Mapping[str, int]: ...
