"""Whose an actor is, by its place in the tree."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

_OF_A_USER: Final = frozenset({"users", "desks", "soga sessions"})
_APPS: Final = "apps"
_SPEECH: Final = "speech"


def anybodys(path: str) -> str:
    """The same place in whoever's subtree: `/glasshouse/users/*/apps/*`. There are few of them."""
    parts = path.split("/")
    if len(parts) > 3 and parts[2] in _OF_A_USER:
        parts[3] = "*"
        if len(parts) > 5 and parts[4] in (_APPS, _SPEECH):
            parts[5] = "*"
    return "/".join(parts)


@functools.lru_cache(maxsize=4096)
def whose(path: str | None) -> Mapping[str, str]:
    """What a line of the log says of the actor at `path`; nothing where there is none.

    Returns:
      `user`, whose session it is of, `package`, the app it is of, and `actor`, the path; each where there is
      one.
    """
    if path is None:
        return {}
    fields: dict[str, str] = {}
    match path.split("/", 6)[1:]:
        case [_, branch, name, *rest] if branch in _OF_A_USER:
            fields["user"] = name.replace("%2F", "/").replace("%25", "%")
            if len(rest) > 1 and rest[0] == _APPS:
                fields["package"] = rest[1]
        case _:
            pass
    return {**fields, "actor": path}
