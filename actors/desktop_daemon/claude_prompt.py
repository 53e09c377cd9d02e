"""What Claude Code is told first, in a terminal or without one, and again when it was killed."""

from __future__ import annotations

import re
from typing import Final

RESTARTS: Final = 2
"""So often a program that was killed is started again; memory that runs out would kill the next one, too."""


def killed_note(how: str) -> str:
    """What the log says of it."""
    return f"Claude Code has ended: {how}. It is started again and goes on in its session.\n"


def first_prompt(goal: str, *, is_resume: bool, lost_goal: str = "") -> str:
    """A goal as a prompt, harmless whatever it is.

    Args:
      lost_goal: what came before the goal, where the program has nothing of that conversation any more.

    In its input box `!` at the beginning runs a command unasked, and a backslash at the end makes Enter a
    line break. Anywhere `/` is a command of its own, and `@` with a path attaches a file from anywhere.
    """
    text = re.sub(r"[^\S\n\t ]|[\x00-\x08\x0b-\x1f\x7f-\x9f]", " ", goal).strip().rstrip("\\")
    text = re.sub(r"(^|\s)@(?=\S*[~/.])", r"\1", text)
    if lost_goal:
        text = f"{text}\n\nWhat you are to go on with is not kept any more. It began with: {lost_goal}"
        return first_prompt(text, is_resume=is_resume)
    if is_resume:
        return (
            "You were cut off while you did this. Go on where you stopped; if you were waiting for a "
            f"permission, ask again. The task was: {text}"
        )
    return text if text[:1].isalnum() else f"Please do this: {text}"
