"""Honest answers to what is not offered yet: every request of an app gets an answer, none hangs (protocol.md
11.7).

Pure: the message in, the answer out. What the phone or the glasses would have to do is not here: the session
decides on that (`session/asking.py`).
"""

from __future__ import annotations

from protocols import error_codes, from_app, to_app
from protocols.envelope import Message
from protocols.error_codes import ErrorCode

NOT_OFFERED = "This server does not offer it"
_NO = error_codes.details(ErrorCode.NOT_SUPPORTED)


def answer(message: from_app.AppMessage, stamp: str) -> Message | None:
    """The wire's own form of "no" for a request; None for a message that expects no answer."""
    match message:
        case from_app.ManagedStreamRequest() | from_app.ManagedStreamStop():
            return to_app.ManagedStreamStatus(status="error", message=NOT_OFFERED, timestamp=stamp, **_NO)
        case from_app.AppDirectMessage() | from_app.AppUserDiscovery() | from_app.AppRoomJoin():
            name = type(message).__struct_config__.tag
            return to_app.error(ErrorCode.NOT_SUPPORTED, f"{name}: {NOT_OFFERED}", stamp)
        case _:
            return None
