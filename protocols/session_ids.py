"""Session ids (protocol.md 3.4).

A user session's id is the user id, a lower-cased mail address. An app session's is `<user>-<package>`. Both
halves may hold '-', so the id is never cut at the first one: the package name, which the init message carries
as well, is taken off the end.
"""

from __future__ import annotations

from protocols.errors import InvalidSessionId


def app_session_id(user_id: str, package_name: str) -> str:
    """The id of `package_name`'s session for a user."""
    return f"{user_id}-{package_name}"


def user_of(session_id: str, package_name: str) -> str:
    """The lower-cased user id in an app session id.

    Raises:
      InvalidSessionId: the id has another package at its end, or nothing before it.
    """
    suffix = f"-{package_name}"
    if not package_name or not session_id.endswith(suffix) or len(session_id) == len(suffix):
        raise InvalidSessionId(session_id, package_name)
    return session_id[: -len(suffix)].lower()
