"""What the phone's link hears."""

from __future__ import annotations

import msgspec

from protocols.audio import AudioFormat
from protocols.from_phone import PhoneMessage

from ..ports import CloseInfo, Connection, Outgoing
from ..tracing import Mark


class PhoneOpened(msgspec.Struct, frozen=True):
    """A phone's upgrade is done; its connection is the user's newest."""

    connection: Connection
    token_in_query: bool


class PhoneSaid(msgspec.Struct, frozen=True):
    """A text message of the phone. `raw` is its JSON as it came, for the relay."""

    connection: Connection
    message: PhoneMessage
    raw: bytes


class PhoneClosed(msgspec.Struct, frozen=True):
    connection: Connection
    info: CloseInfo


class ToPhone(msgspec.Struct, frozen=True):
    """Send to the phone, if there is one; dropped otherwise (displays and state are sent again on its
    return).
    """

    outgoing: Outgoing
    is_ack: bool = False  # nothing else goes out before the first ack
    mark: Mark | None = None


class LivenessTick(msgspec.Struct, frozen=True):
    """The liveness machine's deadline."""


class Resync(msgspec.Struct, frozen=True):
    """From the session after a crash, whose last message is lost: say again who is here.

    Attributes:
      phone: the connection that the session knows of.
    """

    phone: str | None


class AudioConfigured(msgspec.Struct, frozen=True):
    """The phone has said over REST what its microphone sends; the slot knows already."""

    format: AudioFormat


LinkMessage = PhoneOpened | PhoneSaid | PhoneClosed | ToPhone | LivenessTick | Resync | AudioConfigured
