"""An app's keys: the one it has, and others that count beside it for a while (protocol.md 3.2).

A key is changed without a moment in which neither the old nor the new one is good: the former one stays until
its time is over. The key inside of an app's token (3.3) is one of these too, so that a token is taken back by
taking its key away. Only hashes are stored.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from msgspec.structs import replace

from .ports import ApiKey, AppDocument

MOST_KEYS: Final = 20
"""Of one app beside its own; the oldest go first."""


def hash_of(api_key: str) -> str:
    """What is stored of a key: sha256 in hex of its text."""
    return hashlib.sha256(api_key.encode("utf-8", "surrogatepass")).hexdigest()


def key_matches(app: AppDocument, api_key: str, now: float) -> bool:
    """Whether `api_key` is one of the app's at `now`, epoch seconds.

    All are compared, each in constant time: how long it takes tells neither how much of a key was right nor
    which one it was.
    """
    given = hash_of(api_key)
    matches = hmac.compare_digest(given, app.hashed_api_key)
    for key in app.more_keys:
        matches |= hmac.compare_digest(given, key.hashed) and _is_good(key, now)
    return matches


def with_new_key(app: AppDocument, hashed: str, *, now: float, overlap_s: float) -> AppDocument:
    """The app with another key of its own; the one before it is good for `overlap_s` more."""
    former = ApiKey(hashed=app.hashed_api_key, until_s=now + overlap_s, purpose="former")
    return replace(_with(app, former, now), hashed_api_key=hashed)


def with_token_key(app: AppDocument, hashed: str, *, now: float, until_s: float | None) -> AppDocument:
    """The app with a key more: that of a token, which is good as long as the token."""
    return _with(app, ApiKey(hashed=hashed, until_s=until_s, purpose="token"), now)


def without_more_keys(app: AppDocument) -> AppDocument:
    """The app with its own key alone: former ones and all tokens are taken back."""
    return replace(app, more_keys=())


def good_keys(app: AppDocument, now: float) -> tuple[ApiKey, ...]:
    """Those beside its own whose time is not over."""
    return tuple(key for key in app.more_keys if _is_good(key, now))


def _with(app: AppDocument, key: ApiKey, now: float) -> AppDocument:
    return replace(app, more_keys=(*good_keys(app, now), key)[-MOST_KEYS:])


def _is_good(key: ApiKey, now: float) -> bool:
    return key.until_s is None or now < key.until_s
