"""The user session as phones see it: in `connection_ack` and `app_state_change` (protocol.md 2.2, 13.2)."""

from __future__ import annotations

import msgspec

from protocols.envelope import ABSENT, Timestamp


class UserSession(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What runs for the user. Generation A draws its home screen from it."""

    session_id: str
    user_id: str
    active_app_sessions: tuple[str, ...]  # package names
    loading_apps: tuple[str, ...]
    start_time: Timestamp = None
    app_subscriptions: msgspec.Raw = ABSENT
    requires_audio: bool | None = None
    minimum_transcription_languages: tuple[str, ...] | None = None
    is_transcribing: bool | None = None
