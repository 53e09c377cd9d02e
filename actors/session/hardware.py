"""Whether the glasses have what an app needs (protocol.md 4.4, hardware check)."""

from __future__ import annotations

from protocols import capabilities

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


def missing_hardware(app: AppDocument, model_name: str | None) -> str:
    """The required parts these glasses lack, as text; empty when none is, or the model is unknown."""
    if model_name is None:
        return ""
    profile = capabilities.of(model_name)
    missing = [
        need.type
        for need in app.hardware
        if need.level == "REQUIRED" and need.type in PARTS and not getattr(profile, PARTS[need.type])
    ]
    return ", ".join(missing)
