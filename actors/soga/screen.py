"""What should be on the lens, worked out from the conversation alone.

In this order: the first approval, the question that is being put, the answer that is being read, the
assistant's own question, what the newest task is doing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocols.desktop.documents import Phase
from protocols.desktop.lens import LENS_CHARACTERS, cut

from .approvals import lens_text
from .state import Conversation, Followed, Listening, Screen

LISTENING: Final = "Listening…"
THINKING: Final = "Thinking…"
_PHASES: Final[Mapping[Phase | None, str]] = {
    "deciding": THINKING,
    "formulating": "Planning…",
    "spawning": "Starting on your computer…",
    "running": "Working…",
    "needs_approval": "Waiting to be allowed…",
    "synthesizing": "Writing the answer…",
    None: THINKING,
}


def wanted(state: Conversation) -> Screen:
    """What should be there now; nothing is the empty text."""
    if state.approvals:
        return _approval(state)
    if state.listening is not None:
        return Screen(text=_heard(state.listening))
    if state.answers and state.answers[0].until is not None:
        return Screen(text=state.answers[0].text, until=state.answers[0].until)
    if state.window is not None and state.window.text:
        return Screen(text=state.window.text, until=state.window.until)
    if state.asking:
        return Screen(text=THINKING, is_progress=True)
    if state.tasks:
        return Screen(text=_progress(list(state.tasks.values())[-1]), is_progress=True)
    return Screen()


def _approval(state: Conversation) -> Screen:
    first = state.approvals[0]
    lines = [lens_text(first.approval, len(state.approvals) - 1)]
    if first.note:
        lines.append(first.note)
    if state.listening is not None:
        lines.append(_heard(state.listening))
    return Screen(text="\n".join(lines), approval=first.key, until=first.expires_at)


def _heard(listening: Listening) -> str:
    """The end of what was heard: its beginning was read already."""
    text = listening.text
    if not text:
        return LISTENING
    most = LENS_CHARACTERS - 2
    return "> " + (text if len(text) <= most else "…" + text[-most + 1 :].lstrip())


def _progress(task: Followed) -> str:
    if task.phase == "running" and task.step:
        return cut(task.step)
    return _PHASES[task.phase]
