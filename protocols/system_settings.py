"""The wearer's system settings (protocol.md 9.1).

REST and phones call them by the phone's snake_case names, apps by camelCase. The map is open: a key that
is not in the table is stored and returned as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

DEFAULTS: Mapping[str, bool | int | str | None] = {
    "metricSystemEnabled": False,
    "contextualDashboard": True,
    "headUpAngle": 45,
    "brightness": 50,
    "autoBrightness": True,
    "sensingEnabled": True,
    "alwaysOnStatusBar": False,
    "bypassVad": False,
    "bypassAudioEncoding": False,
    "useOnboardMic": False,
    "preferredMic": "auto",
    "userTimezone": None,
}
"""Generation C's values."""

APP_NAMES: Mapping[str, str] = {
    "metric_system": "metricSystemEnabled",
    "contextual_dashboard": "contextualDashboard",
    "head_up_angle": "headUpAngle",
    "brightness": "brightness",
    "auto_brightness": "autoBrightness",
    "sensing_enabled": "sensingEnabled",
    "always_on_status_bar": "alwaysOnStatusBar",
    "bypass_vad_for_debugging": "bypassVad",
    "bypass_audio_encoding_for_debugging": "bypassAudioEncoding",
    "timezone": "userTimezone",
}
"""The phone's name of a setting to the apps' name."""

PREFERRED_MIC = "preferred_mic"
"""Stored per device, as `preferred_mic:<device>`."""


def for_apps(stored: Mapping[str, object], device: str | None = None) -> dict[str, object]:
    """The settings as apps get them: the defaults, and what is stored under the apps' names.

    Args:
      stored: by the phone's names, or already by the apps'.
      device: whose microphone preference counts; None: the one stored without a device.
    """
    settings: dict[str, object] = dict(DEFAULTS)
    for key, value in stored.items():
        if key.partition(":")[0] != PREFERRED_MIC:
            settings[APP_NAMES.get(key, key)] = value
    mine = stored.get(f"{PREFERRED_MIC}:{device}", stored.get(PREFERRED_MIC))
    if mine is not None:
        settings["preferredMic"] = mine
    settings["useOnboardMic"] = settings["preferredMic"] == "glasses"
    return settings
