"""From the phone's connection to its actors: texts to the link, frames straight into the audio slot."""

from __future__ import annotations

from protocols import close_codes, from_phone
from protocols.errors import MalformedMessage
from runtime import Ref

from ..allowance import Allowance
from ..audio.routing import AudioSlot
from ..audio.udp import UdpOffer
from ..ports import CloseInfo, Connection, Telemetry
from .messages import LinkMessage, PhoneClosed, PhoneOpened, PhoneSaid


class PhoneHandler:
    """Hears one phone connection."""

    __slots__ = ("audio", "frames", "link", "offer", "telemetry", "texts", "token_in_query", "user_id")

    def __init__(
        self,
        *,
        user_id: str,
        link: Ref[LinkMessage],
        audio: AudioSlot,
        token_in_query: bool,
        telemetry: Telemetry,
        allowances: tuple[Allowance, Allowance],
        offer: UdpOffer | None = None,
    ) -> None:
        self.user_id = user_id
        self.link = link
        self.audio = audio
        self.token_in_query = token_in_query
        self.telemetry = telemetry
        self.texts, self.frames = allowances
        self.offer = offer

    def opened(self, connection: Connection) -> None:
        # The slot follows at once and not by message: the first frames may stand behind the upgrade.
        self.audio.attach(connection, offer=self.offer)
        self.link.tell(PhoneOpened(connection, self.token_in_query))

    def text(self, connection: Connection, payload: bytes) -> None:
        if not self._is_within(connection, self.texts, payload):
            return
        try:
            message = from_phone.decode(payload)
        except MalformedMessage as error:
            # protocol.md 13.13: no answer to a phone; counted and logged.
            self.telemetry.warning(
                "phone_message_malformed", user=self.user_id, connection=connection.id, cause=str(error)
            )
        else:
            self.link.tell(PhoneSaid(connection, message, payload))
            if not self.link.is_alive:
                close = close_codes.SERVER_RESTARTING
                connection.close(close.code, close.reason)

    def binary(self, connection: Connection, payload: bytes) -> None:
        if self._is_within(connection, self.frames, payload):
            self.audio.offer(connection, payload)

    def closed(self, connection: Connection, info: CloseInfo) -> None:
        self.link.tell(PhoneClosed(connection, info))

    def failed(self, connection: Connection, error: Exception) -> None:
        self.link.crash(error)

    def _is_within(self, connection: Connection, allowance: Allowance, payload: bytes) -> bool:
        now = connection.health.last_activity_at
        is_within = allowance.take(now, len(payload))
        dropped = allowance.report(now)
        if dropped:
            what = "texts" if allowance is self.texts else "frames"
            self.telemetry.warning("phone_rate_limited", user=self.user_id, what=what, dropped=dropped)
        return is_within
