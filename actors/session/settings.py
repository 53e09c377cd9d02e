"""Timers and limits of a session."""

from __future__ import annotations

import msgspec


class SessionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All in seconds; defaults and sources beside each."""

    phone_grace_s: float = (
        300.0  # apps stay while the phone is away (DESIGN section 6; protocol.md 4.1 has 60)
    )
    empty_session_s: float = 10.0  # how long a session waits for the phone whose token made it
    reload_user_s: float = 1.0  # how long to wait before asking the store again for the user
    announce_s: float = 0.1  # subscription changes come in bursts (protocol.md 5.3); one announcement follows
