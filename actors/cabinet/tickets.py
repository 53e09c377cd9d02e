"""Tickets: the single-use tokens that take a wearer's identity to an app's web page (protocol.md 3.6).

A ticket is kept under the hash of its token, so that who reads the store cannot use it. It is removed by the
first use, good or not. Pure.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

COLLECTION: Final = "web view tickets"


class Ticket(msgspec.Struct, frozen=True):
    """Whose web view it lets into which app, until when."""

    user_id: str
    package_name: str
    expires_at_ms: int


def key_of(token: str) -> str:
    """The ticket's key."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def holder(ticket: Ticket, package_name: str, now_ms: int) -> str | None:
    """The user that the ticket shows to the app; None where it is another app's, or too old."""
    is_good = ticket.package_name == package_name and now_ms < ticket.expires_at_ms
    return ticket.user_id if is_good else None
