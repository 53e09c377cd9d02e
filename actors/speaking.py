"""Sound on the glasses: what a spoken text's address has to show before anything is said.

The phone that fetches `/api/tts` has no token of its own there. So the server that passes an app's play
request on puts a ticket into the address: good for that wearer and that text, and for a short while. Nobody
else can have anything said here, and nothing in the address is believed but what the ticket's signature
covers.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from typing import Final

from .synthesis_ports import SpeechSynthesis

LASTS_S: Final = 120.0
"""A phone fetches at once; one on a bad network asks again for a while."""


class SpeechTickets:
    """Makes tickets, and knows them again, also those of the process before.

    Args:
      key: nobody outside has it, and it signs nothing else.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def ticket(self, user_id: str, text: str, wall: float) -> str:
        """What lets this text be said for this wearer, until `LASTS_S` after `wall` (epoch seconds)."""
        until = str(round(wall + LASTS_S))
        user = urlsafe_b64encode(user_id.encode()).decode().rstrip("=")
        return f"{user}.{until}.{self._sign(user_id, until, text)}"

    def holder(self, ticket: str, text: str, wall: float) -> str | None:
        """The wearer that the ticket is for; None where it is for another text, over or not ours."""
        user, _, rest = ticket.partition(".")
        until, _, signature = rest.partition(".")
        try:
            user_id = urlsafe_b64decode(user + "=" * (-len(user) % 4)).decode()
        except (NotBase64, ValueError):
            return None
        expected = self._sign(user_id, until, text)
        if not hmac.compare_digest(expected.encode(), signature.encode(errors="surrogatepass")):
            return None
        return user_id if wall <= int(until) else None

    def _sign(self, user_id: str, until: str, text: str) -> str:
        signed = b"\0".join(part.encode(errors="surrogatepass") for part in (user_id, until, text))
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Speaking:
    """What a server speaks with."""

    synthesis: SpeechSynthesis
    tickets: SpeechTickets
