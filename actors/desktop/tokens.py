"""A daemon's token: opaque to it, worthless to who reads the store.

It says which daemon it is for, so that one look-up finds what to compare it with.
"""

from __future__ import annotations

import hashlib
import hmac

from protocols.desktop.documents import Daemon

_PREFIX = "ghd"


def make_token(daemon_id: str, secret: str) -> str:
    """The token of a daemon, with a `secret` of 32 random bytes as URL-safe text."""
    return f"{_PREFIX}.{daemon_id}.{secret}"


def daemon_of(token: str) -> str | None:
    """The daemon that a token says it is for; None for what is no token of ours."""
    prefix, _, rest = token.partition(".")
    daemon_id, dot, secret = rest.partition(".")
    return daemon_id if prefix == _PREFIX and daemon_id and dot and secret else None


def hash_of(token: str) -> str:
    """What is kept of it: SHA-256 in hex. The secret has 256 bits, so there is nothing to slow down."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def is_good(token: str, daemon: Daemon) -> bool:
    """Whether it is this daemon's token; compared in constant time."""
    return hmac.compare_digest(hash_of(token), daemon.hashed_token)
