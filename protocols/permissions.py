"""Permissions that an app's developer declares (protocol.md 9.5). They are not granted per user."""

from __future__ import annotations

from collections.abc import Collection

MICROPHONE = "MICROPHONE"
LOCATION = "LOCATION"
BACKGROUND_LOCATION = "BACKGROUND_LOCATION"
CALENDAR = "CALENDAR"
CAMERA = "CAMERA"
NOTIFICATIONS = "NOTIFICATIONS"
READ_NOTIFICATIONS = "READ_NOTIFICATIONS"
POST_NOTIFICATIONS = "POST_NOTIFICATIONS"
ALL = "ALL"

PERMISSIONS = frozenset(
    {
        MICROPHONE,
        LOCATION,
        BACKGROUND_LOCATION,
        CALENDAR,
        CAMERA,
        NOTIFICATIONS,
        READ_NOTIFICATIONS,
        POST_NOTIFICATIONS,
        ALL,
    }
)


def grants(declared: Collection[str], required: str | None) -> bool:
    """Whether the declared permissions cover `required`.

    ALL covers everything, and the legacy NOTIFICATIONS covers READ_NOTIFICATIONS. None needs nothing.
    """
    if required is None or required in declared or ALL in declared:
        return True
    return required == READ_NOTIFICATIONS and NOTIFICATIONS in declared
