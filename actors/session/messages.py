"""What a user's session hears."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from protocols import from_app
from protocols.audio import AudioFormat
from protocols.device_state import AppliedState, GlassesInfo
from protocols.envelope import Scalar
from protocols.from_app import AudioPlayRequest
from protocols.from_phone import PhoneMessage
from protocols.transcription import Segment
from runtime import Ref, ReplyTo, Terminated

from ..apps.lifecycle import Phase
from ..apps.messages import Pending
from ..audio.routing import AudioSlot, StrayAudio
from ..cabinet.messages import PreferencesChanged
from ..journal import CommitDone, CommitFailed
from ..neighbours import NeighbourBack
from ..ports import AppDocument, Connection
from ..speech.messages import Unserved
from .requests import Request

if TYPE_CHECKING:
    from ..link.messages import LinkMessage
    from ..snapshots.loading import StoredUser


class PhoneWelcome(msgspec.Struct, frozen=True):
    """Where a phone's connection belongs."""

    link: Ref[LinkMessage]
    audio: AudioSlot


class SessionOverError(Exception):
    """The session has just ended; the roster answers the next question with its successor."""


class PlayRequested(msgspec.Struct, frozen=True):
    """From an app's actor: it wants this to be heard on the glasses. It is answered in every case."""

    package_name: str
    request: AudioPlayRequest


class StopPlaying(msgspec.Struct, frozen=True):
    """From an app's actor: nothing more is to be heard of a track, or of all of its tracks."""

    package_name: str
    track_id: Scalar


class PlayOverdue(msgspec.Struct, frozen=True):
    """The phone has not answered a request to play something."""

    request_id: str


class AdmitPhone(msgspec.Struct, frozen=True):
    """A phone with a good token is about to upgrade: answer where it belongs. Fails with SessionOverError."""

    reply_to: ReplyTo[PhoneWelcome]


class LetIn(msgspec.Struct, frozen=True):
    """A phone that was slowed down has waited long enough."""

    reply_to: ReplyTo[PhoneWelcome]


class PhoneArrived(msgspec.Struct, frozen=True):
    """From the link: a connection is open and is now the current one."""

    connection_id: str


class AckDue(msgspec.Struct, frozen=True):
    """From the link: the phone is to be sent its `connection_ack` (protocol.md 13.12)."""

    connection_id: str


class PhoneGone(msgspec.Struct, frozen=True):
    """From the link: the current connection ended."""

    connection_id: str


class Repeat(msgspec.Struct, frozen=True):
    """From the link after a crash: what it was about to send may be lost, so tell the phone again how things
    stand.
    """

    connection_id: str


class PhoneReported(msgspec.Struct, frozen=True):
    """From the link: a message of the phone that is not the link's own business."""

    message: PhoneMessage
    raw: bytes


class TakeReport(msgspec.Struct, frozen=True):
    """What a phone says over REST, as if it had come on its socket; answers whether an app waited for it."""

    message: PhoneMessage
    raw: bytes
    reply_to: ReplyTo[bool]


def take_report(message: PhoneMessage, raw: bytes) -> Callable[[ReplyTo[bool]], TakeReport]:
    """What an ask that a phone's report is taken is made with."""
    return lambda reply_to: TakeReport(message, raw, reply_to)


class TakeDeviceState(msgspec.Struct, frozen=True):
    """The phone says over REST what the glasses are, in part; answers with what holds then."""

    report: GlassesInfo
    reply_to: ReplyTo[AppliedState]


def take_device_state(report: GlassesInfo) -> Callable[[ReplyTo[AppliedState]], TakeDeviceState]:
    """What an ask that the glasses' state is taken is made with."""
    return lambda reply_to: TakeDeviceState(report, reply_to)


class SetDatetime(msgspec.Struct, frozen=True):
    """The phone says what its wearer's date and time are; answers when the apps are told."""

    datetime: str
    reply_to: ReplyTo[bool]


def set_datetime(datetime: str) -> Callable[[ReplyTo[bool]], SetDatetime]:
    """What an ask that a wearer's date and time are taken is made with."""
    return lambda reply_to: SetDatetime(datetime, reply_to)


class SessionFacts(msgspec.Struct, frozen=True):
    """What routes have to know of a session.

    Attributes:
      running: packages of the apps that the phone's list shows as running, in the order of their starts.
      peers: where the sockets of those come from that have one, by package.
      photo: the photo that was asked for, see `FindFacts`.
    """

    running: tuple[str, ...]
    peers: Mapping[str, str]
    photo: Request | None = None


class FindFacts(msgspec.Struct, frozen=True):
    """Answer what the session is now; `photo_id` is of a photo that an app may wait for."""

    reply_to: ReplyTo[SessionFacts]
    photo_id: str | None = None


def find_facts(photo_id: str | None = None) -> Callable[[ReplyTo[SessionFacts]], FindFacts]:
    """What an ask for a session's facts is made with."""
    return lambda reply_to: FindFacts(reply_to, photo_id)


AskedMessage = (
    from_app.PhotoRequest
    | from_app.RgbLedControl
    | from_app.LocationPollRequest
    | from_app.RequestWifiSetup
    | from_app.RtmpStreamRequest
    | from_app.RtmpStreamStop
    | from_app.StreamStatusCheck
)
"""What an app asks of the phone or the glasses."""


class AppAsked(msgspec.Struct, frozen=True):
    """From an app's actor: the app asks for something that is not its own business alone."""

    package_name: str
    message: AskedMessage


class RequestsTick(msgspec.Struct, frozen=True):
    """The phone has not answered something in time, or is to be asked whether it still streams."""


class ConfigureAudio(msgspec.Struct, frozen=True):
    """The phone says what its microphone sends from here on; answers whether a phone is connected."""

    format: AudioFormat
    reply_to: ReplyTo[bool]


def configure_audio(format: AudioFormat) -> Callable[[ReplyTo[bool]], ConfigureAudio]:
    """What an ask for it is made with."""
    return lambda reply_to: ConfigureAudio(format, reply_to)


class Goodbye(msgspec.Struct, frozen=True):
    """The wearer has logged out: the session ends at once. Answered when that is decided."""

    reply_to: ReplyTo[bool]


class GraceOver(msgspec.Struct, frozen=True):
    """The phone has been away for the whole grace."""


class StartApp(msgspec.Struct, frozen=True):
    """Start an app; answers whether it runs. The answer is None when no such app exists."""

    package_name: str
    reply_to: ReplyTo[bool | None] | None = None


class StopApp(msgspec.Struct, frozen=True):
    """Stop an app; answers once that is stored and announced."""

    package_name: str
    reply_to: ReplyTo[bool | None] | None = None


def start_app(package_name: str) -> Callable[[ReplyTo[bool | None]], StartApp]:
    """What an ask for a start is made with."""
    return lambda reply_to: StartApp(package_name, reply_to)


def stop_app(package_name: str) -> Callable[[ReplyTo[bool | None]], StopApp]:
    """What an ask for a stop is made with."""
    return lambda reply_to: StopApp(package_name, reply_to)


class NotPermittedError(Exception):
    """The app does not declare the permission that this needs."""


class ReadTranscripts(msgspec.Struct, frozen=True):
    """An app asks what was said in a language between two moments, in ms of the calendar.

    The answer is None where the app does not run; it fails with NotPermittedError, or with StorageError.
    """

    package_name: str
    language: str
    from_ms: float
    to_ms: float
    reply_to: ReplyTo[tuple[Segment, ...] | None]


def read_transcripts(
    package_name: str, language: str, from_ms: float, to_ms: float
) -> Callable[[ReplyTo[tuple[Segment, ...] | None]], ReadTranscripts]:
    """What an ask for what was said is made with."""
    return lambda reply_to: ReadTranscripts(package_name, language, from_ms, to_ms, reply_to)


class AppFound(msgspec.Struct, frozen=True):
    """The directory's answer to a start."""

    package_name: str
    app: AppDocument | None


class AppNotFound(msgspec.Struct, frozen=True):
    """The directory could not answer."""

    package_name: str
    error: Exception


class AppDialled(msgspec.Struct, frozen=True):
    """From the front door: an app's connection with a good key says it belongs to this session."""

    package_name: str
    connection: Connection
    pending: Pending


class AppPhaseChanged(msgspec.Struct, frozen=True):
    """From an app's actor: where its lifecycle stands, and its connection when it has one."""

    package_name: str
    phase: Phase
    connection: Connection | None


class AppStartFailed(msgspec.Struct, frozen=True):
    """From an app's actor: the start was given up.

    Attributes:
      retry_after_s: when the next one is worth trying; None where nothing is known of that.
    """

    package_name: str
    stage: str
    cause: str
    retry_after_s: float | None = None


class SubscriptionsRequested(msgspec.Struct, frozen=True):
    """From an app's actor: the app's complete new list, as it came."""

    package_name: str
    requested: Sequence[object]


class UserLoaded(msgspec.Struct, frozen=True):
    """What the store knows of the user."""

    stored: StoredUser


class UserNotLoaded(msgspec.Struct, frozen=True):
    error: Exception


class BootAgain(msgspec.Struct, frozen=True):
    """Start what is left of the stored list: the store may answer now."""


class LoadUser(msgspec.Struct, frozen=True):
    """Ask the store for the user again."""


class MissingOverdue(msgspec.Struct, frozen=True):
    """An app has been without a socket for so long that its wearer is told."""

    package_name: str


class SaveOverdue(msgspec.Struct, frozen=True):
    """Nothing was heard of a commit: a crash of the journal may have lost it."""

    token: int


class SaveAgain(msgspec.Struct, frozen=True):
    """Storage asked to be tried again."""


class AnnounceDue(msgspec.Struct, frozen=True):
    """Changes of subscriptions have settled: tell the phone."""


class LookForOrphans(msgspec.Struct, frozen=True):
    """Apps or streams were stopped: not by their own doing, and perhaps not because all ends."""


class MicrophoneTick(msgspec.Struct, frozen=True):
    """The microphone machine's deadline."""


SessionMessage = (
    AdmitPhone
    | LetIn
    | PhoneArrived
    | AckDue
    | PhoneGone
    | Repeat
    | PhoneReported
    | TakeReport
    | TakeDeviceState
    | SetDatetime
    | FindFacts
    | AppAsked
    | RequestsTick
    | PreferencesChanged
    | ConfigureAudio
    | Goodbye
    | GraceOver
    | StartApp
    | StopApp
    | ReadTranscripts
    | AppFound
    | AppNotFound
    | AppDialled
    | AppPhaseChanged
    | AppStartFailed
    | SubscriptionsRequested
    | PlayRequested
    | StopPlaying
    | PlayOverdue
    | UserLoaded
    | UserNotLoaded
    | LoadUser
    | BootAgain
    | NeighbourBack
    | SaveAgain
    | MissingOverdue
    | SaveOverdue
    | AnnounceDue
    | MicrophoneTick
    | LookForOrphans
    | StrayAudio
    | Unserved
    | CommitDone
    | CommitFailed
    | Terminated
)
