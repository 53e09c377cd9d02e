"""Limits of what a user's apps and phones may keep."""

from __future__ import annotations

import msgspec


class CabinetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How much is kept for a user, and how often it may be written.

    Attributes:
      value_bytes: one value of an app's simple storage (protocol.md 1.3: 100 KB).
      storage_bytes: all of an app's simple storage of one user, keys included (protocol.md 1.3: 1 MB).
      key_characters: characters of a key, of simple storage and of settings.
      preferences_bytes: a user's system settings, app settings and installed apps together.
      calls: calls of simple storage a second, of one app for one user; the SDK gathers its writes for
        seconds.
      burst_calls: such calls that may come at once after a silence.
      ticket_s: how long a web view's single-use token is good (protocol.md 1.2: 60 s).
      tickets: a user's newest tokens that are kept; a web view uses one at once.
      installs_all: an app of the catalogue is on every wearer's home screen until they uninstall it. Without
        it only what they have installed, what they have started, and the system's own apps.
    """

    value_bytes: int = 100 * 1024
    storage_bytes: int = 1024 * 1024
    key_characters: int = 256
    preferences_bytes: int = 512 * 1024
    calls: float = 10.0
    burst_calls: int = 100
    ticket_s: float = 60.0
    tickets: int = 32
    installs_all: bool = True
