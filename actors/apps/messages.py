"""What an app session's actor hears."""

from __future__ import annotations

import msgspec

from protocols.from_app import AppMessage as WireMessage

from ..directory import HeldBack, Permit, ServerRecovered, ServerStarted
from ..ports import CloseInfo, Connection, Outgoing, ProbeOutcome, WebhookAnswer
from ..tracing import Mark


class Begin(msgspec.Struct, frozen=True):
    """Start the app session."""


class Pending(list[bytes]):
    """What an app's connection said between its init and the moment when somebody hears it, still growing.

    Attributes:
      is_taken: somebody hears the connection now, or has refused it.
    """

    is_taken = False


class Dialled(msgspec.Struct, frozen=True):
    """A connection with a good key has sent its init."""

    connection: Connection
    pending: Pending


class AppSaid(msgspec.Struct, frozen=True):
    """A well-formed message on one of the app's connections."""

    connection: Connection
    message: WireMessage


class AppFlooded(msgspec.Struct, frozen=True):
    """This connection said more than it may; `dropped` of its messages were not heard.

    `wait_s`: until it is heard again.
    """

    connection: Connection
    dropped: int
    wait_s: float


class AppBabbled(msgspec.Struct, frozen=True):
    """Malformed or unknown input on one of the app's connections (protocol.md 13.13)."""

    connection: Connection
    cause: str


class AppHungUp(msgspec.Struct, frozen=True):
    connection: Connection
    info: CloseInfo


class EndSession(msgspec.Struct, frozen=True):
    """Stop the app. `reason`: user_disabled, system_stop, error or session_ended."""

    reason: str


class StopAnnounced(msgspec.Struct, frozen=True):
    """From the session: the stop is stored and announced, the app's socket may be closed now."""


class PhonePresence(msgspec.Struct, frozen=True):
    """The user's phone came or went."""

    is_present: bool


class GlassesKnown(msgspec.Struct, frozen=True):
    """What the glasses are: told at the start and at every change, for the acks to come."""

    capabilities: msgspec.Raw
    model_name: str | None
    state: msgspec.Raw


class SettingsKnown(msgspec.Struct, frozen=True):
    """The app's own settings (an array) and the wearer's system settings (an object): told at the start and
    at every change, for the app and for the acks to come.
    """

    own: msgspec.Raw
    system: msgspec.Raw


class PostToServer(msgspec.Struct, frozen=True):
    """POST this to the app's server, once; what comes of it is only logged."""

    path: str
    body: bytes


class Posted(msgspec.Struct, frozen=True):
    """The server took it; or it did not, for `cause`."""

    path: str
    cause: str | None = None


class Deliver(msgspec.Struct, frozen=True):
    """Send to the app, if it is connected."""

    outgoing: Outgoing
    mark: Mark | None = None


class AwaitApp(msgspec.Struct, frozen=True):
    """From the session, to an app session that started clean: the app ran, and is asked to dial again."""


class Report(msgspec.Struct, frozen=True):
    """From the session, which has crashed: say again where this app stands and what it wants."""


class WebhookAnswered(msgspec.Struct, frozen=True):
    attempt: int
    answer: WebhookAnswer


class WebhookBroke(msgspec.Struct, frozen=True):
    attempt: int
    error: Exception


class WebhookPermitted(msgspec.Struct, frozen=True):
    """The directory's word on a webhook; None when it could not give one, which holds nothing back.

    Attributes:
      attempt: of the lifecycle's webhook; None for the stop webhook.
      body: what is to be posted.
    """

    attempt: int | None
    body: bytes
    answer: Permit | HeldBack | None


class StopWebhookOver(msgspec.Struct, frozen=True):
    """The stop webhook was answered or was not."""

    cause: str | None = None


class ServerProbed(msgspec.Struct, frozen=True):
    outcome: ProbeOutcome


class DoubtTick(msgspec.Struct, frozen=True):
    """By now the connection must have answered the ping that a new process of its server gave reason for."""

    connection: Connection
    asked_at: float


class LivenessTick(msgspec.Struct, frozen=True):
    """The deadline of the machine that watches the connection."""


class AudioTick(msgspec.Struct, frozen=True):
    """An app that takes audio is to hear soon that some of it is missing."""


class ComplaintsTick(msgspec.Struct, frozen=True):
    """What was held back of the app's mistakes is to be told now."""


class LifecycleTick(msgspec.Struct, frozen=True):
    """The lifecycle machine's deadline."""


AppMessage = (
    Begin
    | Dialled
    | AppSaid
    | AppBabbled
    | AppFlooded
    | AppHungUp
    | EndSession
    | StopAnnounced
    | PhonePresence
    | GlassesKnown
    | SettingsKnown
    | PostToServer
    | Posted
    | Deliver
    | Report
    | AwaitApp
    | WebhookAnswered
    | WebhookBroke
    | WebhookPermitted
    | StopWebhookOver
    | ServerProbed
    | ServerStarted
    | ServerRecovered
    | DoubtTick
    | ComplaintsTick
    | LifecycleTick
    | LivenessTick
    | AudioTick
)
