"""Whether the wearer's phone and glasses can do what an app needs (protocol.md 4.4) or asks for (9.6, 9.7).

Pure. A refusal names the hop: the permission is the session's, then come the phone, the glasses, the part of
them. Glasses of which the phone has said nothing count as connected, and an unknown model has every part
(protocol.md 13.3).
"""

from __future__ import annotations

from typing import Final

import msgspec

from protocols import capabilities, from_app, permissions
from protocols.device_state import GlassesInfo
from protocols.error_codes import ErrorCode

from ..ports import AppDocument

PARTS = {
    "CAMERA": "has_camera",
    "DISPLAY": "has_display",
    "MICROPHONE": "has_microphone",
    "SPEAKER": "has_speaker",
    "IMU": "has_imu",
    "BUTTON": "has_button",
    "LIGHT": "has_light",
    "WIFI": "has_wifi",
}

PhoneRequest = (
    from_app.PhotoRequest
    | from_app.RgbLedControl
    | from_app.LocationPollRequest
    | from_app.RequestWifiSetup
    | from_app.RtmpStreamRequest
)
"""What the phone has to do for an app."""

PERMISSIONS: Final[dict[type[object], str]] = {
    from_app.PhotoRequest: permissions.CAMERA,
    from_app.RtmpStreamRequest: permissions.CAMERA,
    from_app.LocationPollRequest: permissions.LOCATION,
}

PARTS_OF: Final[dict[type[object], str]] = {
    from_app.PhotoRequest: "CAMERA",
    from_app.RtmpStreamRequest: "CAMERA",
    from_app.RgbLedControl: "LIGHT",
    from_app.RequestWifiSetup: "WIFI",
}
"""The part of the glasses that a request is about."""

PHOTO_CODES: Final = {
    ErrorCode.PERMISSION_DENIED: "PERMISSION_DENIED",
    ErrorCode.PHONE_AWAY: "NETWORK_ERROR",
    ErrorCode.GLASSES_NOT_CONNECTED: "PHONE_GLASSES_NOT_CONNECTED",
    ErrorCode.HARDWARE_MISSING: "CAMERA_INIT_FAILED",
    ErrorCode.CAMERA_BUSY: "CAMERA_BUSY",
    ErrorCode.PHONE_TIMEOUT: "PHONE_TIMEOUT",
}
"""The photo errors of the wire (protocol.md 9.6) that our own reasons are; the others are UNKNOWN_ERROR."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a request is not, or was not, done; `details` is the phone's own report, where it made one."""

    code: ErrorCode
    message: str
    photo_code: str = ""

    @property
    def code_of_photo(self) -> str:
        return self.photo_code or PHOTO_CODES.get(self.code, "UNKNOWN_ERROR")


NO_PHONE: Final = Refusal(ErrorCode.PHONE_AWAY, "the wearer's phone is not connected")
PHONE_LOST: Final = Refusal(ErrorCode.PHONE_AWAY, "the phone's connection was lost before it answered")


def missing_hardware(app: AppDocument, model_name: str | None) -> str:
    """The required parts these glasses lack, as text; empty when none is, or the model is unknown."""
    missing = [
        need.type for need in app.hardware if need.level == "REQUIRED" and _lacks(model_name, need.type)
    ]
    return ", ".join(missing)


def refusal(
    request: PhoneRequest,
    app: AppDocument,
    glasses: GlassesInfo,
    *,
    is_phone_here: bool,
    streaming: str | None,
) -> Refusal | None:
    """Why the request cannot be passed on to the phone; None when it can.

    Args:
      streaming: the app whose stream the camera is busy with.
    """
    needed = PERMISSIONS.get(type(request))
    if not permissions.grants([one.type for one in app.permissions], needed):
        message = f"it needs the permission {needed}, which is not declared"
        return Refusal(ErrorCode.PERMISSION_DENIED, message)
    if not is_phone_here:
        return NO_PHONE
    part = PARTS_OF.get(type(request))
    if part is None:
        return None
    if glasses.connected is False:
        return Refusal(ErrorCode.GLASSES_NOT_CONNECTED, "no glasses are connected to the wearer's phone")
    if _lacks(glasses.model_name, part):
        return Refusal(ErrorCode.HARDWARE_MISSING, f"{glasses.model_name} has no {part.lower()}")
    is_own_stream = isinstance(request, from_app.RtmpStreamRequest) and streaming == app.package_name
    if part == "CAMERA" and streaming is not None and not is_own_stream:
        return Refusal(ErrorCode.CAMERA_BUSY, f"the camera streams for {streaming}")
    return None


def _lacks(model_name: str | None, part: str) -> bool:
    if model_name is None or part not in PARTS:
        return False
    return not getattr(capabilities.of(model_name), PARTS[part])
