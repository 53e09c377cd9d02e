"""What a refusal, a close code or an error of Deepgram's means to who opened the stream.

Its reference of errors names 401 INVALID_AUTH, 402 ASR_PAYMENT_REQUIRED, 403 for what a key may not use and
429 TOO_MANY_REQUESTS for more streams than a project may have; in a stream 1008 DATA-0000 (not audio) and
1011 NET-0000, NET-0001 (a time limit). Credits that end in mid-stream have no documented code, so words
decide there, and only there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final, Literal, Protocol

from actors.ports import SpeechError

Kind = Literal["network", "auth", "quota", "rate", "protocol", "closed"]

RETRY_AFTER_S: Final[dict[Kind, float]] = {
    "network": 0.2,
    "closed": 0.2,
    "protocol": 1.0,
    "rate": 5.0,
    "quota": 60.0,
    "auth": 300.0,
}
"""When the same key is worth another try. A person has to act for the last two."""

_LONGEST_RETRY_S: Final = 3600.0
_QUOTED: Final = 200
_KINDS_BY_STATUS: Final[dict[int, Kind]] = {
    HTTPStatus.UNAUTHORIZED: "auth",
    HTTPStatus.FORBIDDEN: "auth",
    HTTPStatus.PAYMENT_REQUIRED: "quota",
    HTTPStatus.TOO_MANY_REQUESTS: "rate",
}
_KINDS_BY_WORDS: Final[tuple[tuple[re.Pattern[str], Kind], ...]] = (
    (re.compile(r"payment|quota|credit|balance", re.IGNORECASE), "quota"),
    (re.compile(r"too.?many|rate.?limit|concurren", re.IGNORECASE), "rate"),
    (re.compile(r"unauthori[sz]ed|invalid.?auth|credentials|permission", re.IGNORECASE), "auth"),
)
_NORMAL: Final = 1000
_GOING_AWAY: Final = 1001
_NO_STATUS: Final = 1005
_POLICY: Final = 1008
_TRY_AGAIN_LATER: Final = 1013


class CloseReason(Protocol):
    """What trio-websocket says of a close frame."""

    @property
    def code(self) -> int: ...
    @property
    def reason(self) -> str | None: ...


def refused(provider: str, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> SpeechError:
    """The upgrade was answered with `status` other than 101."""
    kind = _KINDS_BY_STATUS.get(status)
    if kind is None:
        kind = "network" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "protocol"
    fields = {name.lower(): value.decode("latin-1") for name, value in headers}
    said = fields.get(b"dg-error") or body.decode("utf-8", "replace")
    return _error(provider, kind, f"status {status} {said}", retry_after=fields.get(b"retry-after"))


def closed(provider: str, reason: CloseReason | None) -> SpeechError:
    """The connection ended; None without a close frame."""
    if reason is None:
        return _error(provider, "network", "the connection was lost")
    code, text = int(reason.code), reason.reason or ""
    kind: Kind
    if (by_words := _kind_by_words(text)) is not None:
        kind = by_words
    elif code in (_NORMAL, _GOING_AWAY, _NO_STATUS):
        kind = "closed"
    elif code == _POLICY:
        kind = "protocol"
    else:
        kind = "rate" if code == _TRY_AGAIN_LATER else "network"
    return _error(provider, kind, f"closed with {code} {text}")


def reported(provider: str, text: str) -> SpeechError:
    """An error message came in the stream."""
    return _error(provider, _kind_by_words(text) or "protocol", text)


def _kind_by_words(text: str) -> Kind | None:
    return next((kind for pattern, kind in _KINDS_BY_WORDS if pattern.search(text)), None)


def _error(provider: str, kind: Kind, cause: str, *, retry_after: str | None = None) -> SpeechError:
    retry_after_s = RETRY_AFTER_S[kind]
    if retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        retry_after_s = min(max(retry_after_s, float(retry_after)), _LONGEST_RETRY_S)
    return SpeechError(provider, kind, cause.strip()[:_QUOTED], retry_after_s=retry_after_s)
