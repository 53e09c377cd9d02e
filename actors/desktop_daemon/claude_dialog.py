"""A dialog of Claude Code that is answered on its screen, because no hook has told of it.

The cursor is moved to the option that was decided for, a step at a time, and Enter is pressed while it is
seen there. Options that allow more than this once are not offered.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from protocols.desktop.documents import Approval, Option

from .claude_screens import Look
from .screens import Screen
from .terminal_facts import Answered

FIRST_KEY_S: Final = 0.3
"""A key that arrives with the dialog is taken for something else."""

KEY_S: Final = 0.25
GIVE_UP_S: Final = 10.0
"""A dialog that still stands then is asked about anew. Enter is never pressed twice: the second might be
taken for an answer to the next one."""

END: Final = "end"
_ESCAPE: Final = "escape"
_NOT_OFFERED: Final = ("Type something", "Chat about this")


class Dialog(msgspec.Struct, frozen=True):
    """A dialog that stands on the screen.

    Attributes:
      approval_id: empty where nobody has to be asked.
      look: what it looked like when it was found.
      decided: the option to take, from 0; -1 is Escape; None while nobody has decided.
      since: when it was found, or decided.
      pressed_at: when the newest key was typed.
      is_denied: afterwards the program is told `message`.
    """

    approval_id: str
    look: Look
    decided: int | None = None
    since: float = 0.0
    pressed_at: float = 0.0
    has_entered: bool = False
    is_denied: bool = False
    message: str = ""


def approval(seen: Look, screen: Screen, approval_id: str) -> Approval:
    """What somebody is asked about it."""
    kind: Literal["permission", "question"] = "question"
    options: tuple[Option, ...]
    match seen.kind:
        case "permission":
            kind = "permission"
            title = seen.title
            options = (Option(id="yes", label="Yes"), Option(id="no", label="No"))
        case "question":
            title = seen.title
            options = tuple(
                Option(id=str(number), label=label)
                for number, label in enumerate(seen.options, 1)
                if not label.startswith(_NOT_OFFERED)
            )
        case _:
            title = "Claude Code shows something unknown. Please look."
            options = (Option(id=_ESCAPE, label="Press Escape"), Option(id=END, label="End it"))
    return Approval(
        approval_id=approval_id, kind=kind, title=title, detail=seen.detail or screen.text, options=options
    )


def option_of(dialog: Dialog, answer: Answered) -> int | None:
    """Which option an answer means; None where it means none."""
    if dialog.decided is not None:
        return None
    seen = dialog.look
    match seen.kind, answer.decision, answer.choice:
        case ("permission", "approve", _) | ("permission", "choose", "yes"):
            return seen.yes
        case ("permission", "deny", _) | ("permission", "choose", "no"):
            return seen.no
        case "question", "deny", _:
            return -1
        case "question", "choose", choice if choice is not None and choice.isdecimal():
            number = int(choice) - 1
            is_offered = number in range(len(seen.options)) and not seen.options[number].startswith(
                _NOT_OFFERED
            )
            return number if is_offered else None
        case ("unknown", "deny", _) | ("unknown", "choose", "escape" | "end"):
            return -1
        case _:
            return None


def decide(dialog: Dialog, answer: Answered, now: float, denied: str) -> Dialog:
    """Somebody has decided. `denied` is what the program is told where the answer says nothing itself."""
    option = option_of(dialog, answer)
    is_denied = answer.decision == "deny" or (dialog.look.kind == "permission" and option == dialog.look.no)
    return msgspec.structs.replace(
        dialog,
        decided=option,
        since=now,
        is_denied=is_denied and dialog.look.kind != "unknown",
        message=answer.message or denied,
    )


def press(dialog: Dialog, seen: Look, now: float) -> tuple[Dialog, str, bool]:
    """The next key on the way to what was decided, if it is time for one; and whether that has failed."""
    if dialog.decided is None:
        return dialog, "", False
    if now >= dialog.since + GIVE_UP_S:
        return dialog, "", True
    is_there = seen.cursor == dialog.decided or dialog.decided == -1
    if dialog.has_entered or now < max(dialog.since + FIRST_KEY_S, dialog.pressed_at + KEY_S):
        return dialog, "", False
    if is_there:
        keys = "\x1b" if dialog.decided == -1 else "\r"
    else:
        keys = "\x1b[B" if (seen.cursor or 0) < dialog.decided else "\x1b[A"
    return msgspec.structs.replace(dialog, pressed_at=now, has_entered=is_there), keys, False


def wake_times(dialog: Dialog) -> list[float]:
    """When the next key may be due."""
    if dialog.decided is None:
        return []
    return [
        dialog.since + FIRST_KEY_S,
        dialog.pressed_at + KEY_S,
        dialog.since + GIVE_UP_S,
    ]
