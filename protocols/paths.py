"""The paths that can be upgraded (protocol.md 1.1, desktop.md 4), and the owner prefix in front of any path.

A node that has a name hands out `/o/<owner>/app-ws`; the SDK cuts `/app-ws` off and asks REST under
`/o/<owner>/`, so every path may carry the prefix.
"""

from __future__ import annotations

GLASSES = "/glasses-ws"
APP = "/app-ws"
APP_ALIAS = "/tpa-ws"
DAEMON = "/ws/daemon"

UPGRADE_PATHS = (GLASSES, APP, APP_ALIAS, DAEMON)

_OWNER_PREFIX = "/o/"


def split_owner(path: str) -> tuple[str | None, str]:
    """Split `/o/<owner>/rest` into its owner and `/rest`.

    A path without the prefix has no owner and is returned as it is; so is one with an empty owner, which no
    route will match.
    """
    if not path.startswith(_OWNER_PREFIX):
        return None, path
    owner, slash, rest = path[len(_OWNER_PREFIX) :].partition("/")
    if not owner or not slash:
        return None, path
    return owner, slash + rest


def with_owner(owner: str | None, path: str) -> str:
    """The path under an owner's prefix; the path itself without an owner."""
    return path if owner is None else f"{_OWNER_PREFIX}{owner}{path}"
