"""A goal as it may reach a terminal, and which adapter is to work on it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .settings import AgentSettings

ASKS_ITSELF = frozenset({"claude"})
"""Adapters that ask before they act. For any other the goal is a command, so the daemon asks first."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_PREFIX = re.compile(r"\s*([a-z][a-z0-9_-]{0,31}):\s+(?=\S)")


class GoalError(Exception):
    """No agent can work on this. The text says why, for people."""


def plain(text: str) -> str:
    """`text` without control characters but newline and tab: none can end a paste or move a cursor.

    A carriage return is a line's end, however it came; an escape sequence loses its first character and is
    harmless text from there.
    """
    return _CONTROL.sub("", sayable(text).replace("\r\n", "\n").replace("\r", "\n"))


def sayable(text: str) -> str:
    """`text` as UTF-8 can have it: a terminal's bytes may hold halves of characters."""
    return text.encode("utf-8", "replace").decode()


def understood(goal: str, names: Sequence[str], settings: AgentSettings) -> tuple[str, str]:
    """The adapter and the goal without control characters and prefix.

    In this order: `name:` before the goal where that is one of `names` and prefixes are allowed, the setting,
    claude, bash.

    Args:
      names: adapters that can run here.

    Raises:
      GoalError: it is empty or too long, or no adapter is there.
    """
    text = plain(goal).strip()
    found = _PREFIX.match(text) if settings.by_prefix else None
    adapter = settings.adapter
    if found is not None and found[1] in names:
        adapter, text = found[1], text[found.end() :]
    text = _checked(text, settings)
    if not adapter:
        adapter = next((name for name in ("claude", "bash") if name in names), "")
    if adapter not in names:
        raise GoalError(f"{adapter or 'no agent'} cannot run on this desktop")
    return adapter, text


def said_next(goal: str, settings: AgentSettings) -> str:
    """What an agent that goes on with a session is told, without control characters.

    Which adapter it is was settled when the session began: a prefix is text like any other.

    Raises:
      GoalError: it is empty or too long.
    """
    return _checked(plain(goal).strip(), settings)


def _checked(text: str, settings: AgentSettings) -> str:
    if not text:
        raise GoalError("the goal is empty")
    if len(text) > settings.largest_goal:
        raise GoalError(f"the goal is longer than {settings.largest_goal} characters")
    return text
