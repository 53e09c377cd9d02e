"""Timers of a session."""

from __future__ import annotations

import msgspec


class SessionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long a session waits for what.

    Attributes:
      phone_grace_s: apps stay so long while the phone is away (DESIGN section 6; protocol.md 4.1 has 60 s).
      empty_session_s: a session waits so long for the phone whose token made it.
      reload_user_s: after a failure the store is asked for the user again in so long.
      announce_s: subscription changes come in bursts (protocol.md 5.3); the phone is told so long after.
      free_takeovers: phones of one user may take over from each other so often a minute without waiting. Two
        phones that redial after 5 s need twelve.
      takeover_step_s: each takeover beyond those is let in so much later than the one before.
      takeover_wait_s: a phone waits at most so long to take over: a storm (87 dials a minute were seen) is
        slowed down and nobody is refused.
      missing_s: a wearer reads that an app does not answer when it has had no socket for so long. Most are
        back sooner by themselves.
      missing_notice_s: that stays on the lens so long.
    """

    phone_grace_s: float = 300.0
    empty_session_s: float = 10.0
    reload_user_s: float = 1.0
    announce_s: float = 0.1
    free_takeovers: int = 12
    takeover_step_s: float = 0.5
    takeover_wait_s: float = 3.0
    missing_s: float = 5.0
    missing_notice_s: float = 4.0
