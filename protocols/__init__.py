"""The wire: what travels between phones, apps, app servers and the cloud, as types and pure functions.

No sockets, no clock, no state. A module is a table of protocol.md or one of its concepts:

    from_phone, to_phone    messages on `/glasses-ws`, with `decode` and `encode`
    from_app, to_app        messages on `/app-ws`
    webrtc, user_session    parts of those tables
    audio, ble              the formats of the microphone, and the glasses' packets
    udp, sequence           its datagrams, and packets put in order again
    pipe_frames, media_process  what goes through the pipes of our own processes
    child_environment       and what those are started with
    envelope, errors        what all messages share; what decoding can raise
    streams, permissions    subscription texts, and what they need
    session_ids, paths      ids and addresses
    timestamps              ISO text and epoch milliseconds
    close_codes             close codes and their reasons
    error_codes             the table of errors that an app can read
    webhooks, rest          HTTP bodies
    transcription, layouts  what `data_stream.data` and `display_event.layout` hold
    capabilities, device_state, location_tiers, system_settings
"""

from __future__ import annotations

from protocols import (
    audio,
    ble,
    capabilities,
    child_environment,
    close_codes,
    device_state,
    envelope,
    error_codes,
    errors,
    from_app,
    from_phone,
    layouts,
    location_tiers,
    media_process,
    paths,
    permissions,
    pipe_frames,
    rest,
    sequence,
    session_ids,
    streams,
    system_settings,
    timestamps,
    to_app,
    to_phone,
    transcription,
    udp,
    user_session,
    webhooks,
    webrtc,
)
from protocols.envelope import ABSENT, Unknown, is_present
from protocols.errors import InvalidSessionId, InvalidStream, MalformedMessage, ProtocolError, UnknownType

__all__ = [
    "ABSENT",
    "InvalidSessionId",
    "InvalidStream",
    "MalformedMessage",
    "ProtocolError",
    "Unknown",
    "UnknownType",
    "audio",
    "ble",
    "capabilities",
    "child_environment",
    "close_codes",
    "device_state",
    "envelope",
    "error_codes",
    "errors",
    "from_app",
    "from_phone",
    "is_present",
    "layouts",
    "location_tiers",
    "media_process",
    "paths",
    "permissions",
    "pipe_frames",
    "rest",
    "sequence",
    "session_ids",
    "streams",
    "system_settings",
    "timestamps",
    "to_app",
    "to_phone",
    "transcription",
    "udp",
    "user_session",
    "webhooks",
    "webrtc",
]
