"""What the console signs: the cookie of a login, the mark of its own forms, and one-time links.

All with keys derived from the server's token secret, one for each purpose, so none of them is a core token
and none passes for another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec
from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from actors.console.ports import OneTimeLink

LINK_PREFIX: Final = "link."
LONGEST: Final = 4_096

_COOKIE, _FORM, _LINK = "glasshouse.console.cookie", "glasshouse.console.form", "glasshouse.console.link"


_links: Final = msgspec.json.Decoder(OneTimeLink)


class ConsoleKeys:
    """`actors.console.ports.ConsoleKeys`.

    Args:
      secrets: the server's, as `CoreTokens` has them: the first signs, all are tried.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        assert secrets, "at least one secret is needed"
        keys = [secret.encode() for secret in reversed(secrets)]  # itsdangerous signs with the last
        self._signers = {
            salt: Signer(
                keys, salt=salt, sep=".", key_derivation="hmac", digest_method=staticmethod(hashlib.sha256)
            )
            for salt in (_COOKIE, _FORM, _LINK)
        }

    def cookie(self, session_id: str) -> str:
        """The value of a session's cookie."""
        return self._signers[_COOKIE].sign(session_id).decode()

    def session_of(self, cookie: str) -> str | None:
        """The session id in a cookie; None if we did not sign it."""
        return self._read(_COOKIE, cookie)

    def form_mark(self, session_id: str) -> str:
        """What a page of that session sends along with everything that changes something."""
        return self._signers[_FORM].get_signature(session_id).decode()

    def is_form_mark(self, session_id: str, mark: str) -> bool:
        """Whether `mark` is one of that session; compared in constant time."""
        return len(mark) <= LONGEST and self._signers[_FORM].verify_signature(session_id, mark)

    def mint_link(self, link: OneTimeLink) -> str:
        """The code of a one-time link."""
        payload = base64_encode(msgspec.json.encode(link)).decode()
        return LINK_PREFIX + self._signers[_LINK].sign(payload).decode()

    def read_link(self, code: str) -> OneTimeLink | None:
        """What a code says; None if we did not make it. Its time and its use are not looked at."""
        payload = self._read(_LINK, code.removeprefix(LINK_PREFIX))
        return None if payload is None else _links.decode(base64_decode(payload))

    def _read(self, salt: str, signed: str) -> str | None:
        if len(signed) > LONGEST:
            return None
        try:
            return self._signers[salt].unsign(signed).decode()
        except BadData:
            return None
