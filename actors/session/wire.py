"""What a session says on the wire, built from its state."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from protocols import error_codes, system_settings, to_app, to_phone
from protocols import udp as datagrams
from protocols.envelope import Message
from protocols.error_codes import ErrorCode
from protocols.user_session import UserSession

from ..audio.udp import Address, UdpOffer
from ..ports import Outgoing
from . import state as states

if TYPE_CHECKING:
    from ..microphone import SendMicrophoneState
    from ..subscriptions import Problem
    from .state import SessionState


def system_settings_of(state: SessionState) -> msgspec.Raw:
    """The wearer's system settings as apps and phones get them (protocol.md 9.1)."""
    return msgspec.Raw(
        msgspec.json.encode(system_settings.for_apps(state.preferences.system, state.glasses.model_name))
    )


def control(payload: bytes) -> Outgoing:
    """A message of the control lane: never dropped."""
    return Outgoing(payload)


def user_session(state: SessionState) -> UserSession:
    """What runs, as every phone generation gets it (protocol.md 13.2).

    While a change of the list is being stored it is what was told before: nothing is announced that a crash
    of the server could take back.
    """
    if state.saving and state.announced is not None:
        return state.announced
    return UserSession(
        session_id=state.user_id,
        user_id=state.user_id,
        active_app_sessions=states.active(state),
        loading_apps=states.loading(state),
        start_time=round(state.started_wall * 1000),
        requires_audio=state.routing.wants_microphone,
        minimum_transcription_languages=tuple(state.routing.languages),
        is_transcribing=bool(state.streams),
    )


class UdpFields(msgspec.Struct, frozen=True):
    """Where a phone may send its microphone's datagrams, and how they are encrypted."""

    host: str
    port: int
    encryption: to_phone.UdpEncryption | None


def udp_fields(address: Address | None, offer: UdpOffer | None) -> UdpFields | None:
    """What an ack says of UDP; None where there is none, or it was not offered."""
    if address is None or offer is None:
        return None
    encryption = None
    if offer.key is not None:
        encryption = to_phone.UdpEncryption(key=b64encode(offer.key).decode(), algorithm=datagrams.ALGORITHM)
    return UdpFields(*address, encryption)


def connection_ack(state: SessionState, stamp: str, udp: UdpFields | None = None) -> bytes:
    """The phone may send audio from here on."""
    return to_phone.encode(
        to_phone.ConnectionAck(
            session_id=state.user_id,
            user_session=user_session(state),
            udp_host=None if udp is None else udp.host,
            udp_port=None if udp is None else udp.port,
            udp_encryption=None if udp is None else udp.encryption,
            timestamp=stamp,
        )
    )


def app_state_change(state: SessionState, stamp: str, *, error: str | None = None) -> bytes:
    """What runs has changed."""
    return to_phone.encode(
        to_phone.AppStateChange(
            session_id=state.user_id, user_session=user_session(state), error=error, timestamp=stamp
        )
    )


def microphone_state_change(user_id: str, effect: SendMicrophoneState, stamp: str) -> bytes:
    """Both names of the same wish: some phones read the one, some the other (protocol.md 2.2)."""
    return to_phone.encode(
        to_phone.MicrophoneStateChange(
            session_id=user_id,
            is_microphone_enabled=effect.is_enabled,
            required_data=effect.required_data,
            bypass_vad=effect.bypass_vad,
            timestamp=stamp,
        )
    )


def settings_update(state: SessionState, stamp: str) -> bytes:
    """The wearer's system settings."""
    return to_phone.encode(
        to_phone.SettingsUpdate(session_id=state.user_id, settings=system_settings_of(state), timestamp=stamp)
    )


def update_datetime(session_id: str, datetime: str, stamp: str) -> bytes:
    """The wearer's date and time, for apps with the stream `custom_message` (protocol.md 2.4)."""
    payload = msgspec.Raw(msgspec.json.encode({"datetime": datetime, "section": "topLeft"}))
    return to_app.encode(
        to_app.CustomMessage(
            session_id=session_id, action="update_datetime", payload=payload, timestamp=stamp
        )
    )


def permission_error(problems: Sequence[Problem], stamp: str) -> Outgoing:
    """Streams that were not granted, or are none; the app keeps the rest."""
    details = tuple(
        to_app.PermissionProblem(
            stream=problem.stream,
            required_permission=problem.required_permission or "",
            message=problem.message,
            code=ErrorCode.PERMISSION_DENIED if problem.required_permission else ErrorCode.INVALID_STREAM,
        )
        for problem in problems
    )
    return control(to_app.encode(to_app.permission_error(details, stamp)))


def rtmp_error(code: ErrorCode, message: str, stamp: str, *, stream_id: str | None = None) -> Message:
    """The camera does not stream, or not any more."""
    return to_app.RtmpStreamStatus(
        status="error",
        stream_id=stream_id,
        error_details=msgspec.Raw(msgspec.json.encode(message)),
        timestamp=stamp,
        **error_codes.details(code),
    )


def connection_error(code: ErrorCode, message: str, stamp: str) -> Outgoing:
    """An error an app can read. It ends nothing by itself."""
    return control(to_app.encode(to_app.error(code, message, stamp)))
