"""What a page says of a task, an agent and a desktop: the words, decided without HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from actors.desktop.messages import DaemonView
from protocols.desktop.documents import FINAL, AgentStatus, Approval, Decision, Phase, SubAgent, Task

Tone = Literal["busy", "waits", "good", "bad", "off"]
"""What a colour is chosen by; never the only sign of it."""

_PHASES: Final[dict[Phase, str]] = {
    "deciding": "Thinking",
    "formulating": "Writing the goal",
    "spawning": "Starting an agent",
    "running": "Working",
    "needs_approval": "Waits for you",
    "synthesizing": "Summing up",
}
_AGENT_WORDS: Final[dict[AgentStatus, tuple[str, Tone]]] = {
    "pending": ("Waits for its desktop", "busy"),
    "initializing": ("Starting", "busy"),
    "running": ("Working", "busy"),
    "needs_approval": ("Waits for you", "waits"),
    "completed": ("Done", "good"),
    "failed": ("Failed", "bad"),
    "cancelled": ("Killed", "off"),
}


class State(msgspec.Struct, frozen=True):
    """How something stands, in a word."""

    word: str
    tone: Tone


def task_state(task: Task) -> State:
    """How a task stands. One whose agent failed is completed on the wire, and is not done for its user."""
    if task.status == "processing":
        phase = task.phase or "deciding"
        return State(_PHASES[phase], "waits" if phase == "needs_approval" else "busy")
    if task.is_cancelled:
        return State("Cancelled", "off")
    if task.status == "failed" or task.result is None:
        return State("Failed", "bad")
    ended = task.result.agent_result
    if ended is not None and ended.status != "completed":
        return State("The agent was killed" if ended.status == "cancelled" else "The agent failed", "bad")
    return State("Asks back", "waits") if task.result.type == "clarifying_question" else State("Done", "good")


def agent_state(agent: SubAgent) -> State:
    """How an agent stands."""
    if agent.is_lost and agent.status not in FINAL:
        return State("Its desktop is away", "waits")
    return State(*_AGENT_WORDS[agent.status])


def daemon_state(daemon: DaemonView) -> State:
    """Whether a desktop is there."""
    if daemon.is_online:
        return State("Online", "good")
    return State("Offline" if daemon.last_seen is not None else "Never seen", "off")


class Choice(msgspec.Struct, frozen=True):
    """A button of an approval.

    Attributes:
      choice: the option's id, for choose.
    """

    decision: Decision
    label: str
    choice: str = ""


ANSWERED: Final[Mapping[Decision, str]] = {"approve": "Allowed", "deny": "Denied", "choose": "Answered"}
"""What is said when a decision was taken."""


def choices(approval: Approval) -> tuple[Choice, ...]:
    """The buttons of an approval, what allows first; whatever it is, it can be denied."""
    options = tuple(Choice("choose", option.label, option.id) for option in approval.options)
    if approval.kind == "question":
        return (*options, Choice("deny", "Do not answer"))
    return (Choice("approve", "Allow"), Choice("deny", "Deny"), *options)


def cost_words(task: Task) -> str:
    """What a task cost, as `$0.0042 · 3 calls · 4,120 tokens`; empty for one that asked no model."""
    calls = sum(use.calls for use in task.usage)
    if not calls:
        return ""
    tokens = sum(use.input_tokens + use.output_tokens for use in task.usage)
    plural = "call" if calls == 1 else "calls"
    return f"{money(task.cost_usd)} · {calls:,} {plural} · {tokens:,} tokens"


def money(usd: float) -> str:
    """Dollars: two digits after the point, four below ten cents."""
    return f"${usd:.2f}" if usd >= 0.1 or usd == 0 else f"${usd:.4f}"


def took_words(milliseconds: float) -> str:
    """A length of time: 850 ms, 4.2 s, 3 min 20 s."""
    if milliseconds < 1_000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1_000
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def lasted(seconds: float) -> str:
    """How long something has lasted: under 1 min, 12 min, 3 h 5 min, 2 d 4 h. No seconds: a page is still."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3_600), int(seconds // 86_400)
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else "under 1 min"


def task_news(task: Task) -> str:
    """What is said aloud of a task that changed."""
    state = task_state(task)
    if task.status == "processing":
        return f"{state.word}: {task.query[:60]}"
    answer = task.error if task.result is None else task.result.glasses_display
    return f"{state.word}: {answer or task.query[:60]}"
