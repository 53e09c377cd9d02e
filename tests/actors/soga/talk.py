"""A conversation with a clock, for tests: what is said and pressed, and what came of it."""

from __future__ import annotations

import itertools
from typing import TypeVar

from actors.soga import events
from actors.soga.conversation import deadline, step
from actors.soga.settings import SogaSettings
from actors.soga.state import Conversation
from protocols.desktop.documents import (
    Approval,
    Option,
    Phase,
    ResultType,
    SubAgent,
    Task,
    TaskResult,
)

SETTINGS = SogaSettings(enabled=True)
ADA = "ada@example.org"

E = TypeVar("E", bound=events.Effect)

CLAUDES_OPTIONS = (
    Option(id="1", label="Yes"),
    Option(id="2", label="Yes, and always allow access to src from this project"),
    Option(id="3", label="Yes, and switch to auto mode"),
    Option(id="4", label="No"),
)


def approval(
    approval_id: str = "approval_1",
    title: str = "pytest -q",
    *,
    tool: str = "Bash",
    options: tuple[Option, ...] = CLAUDES_OPTIONS,
    kind: str = "permission",
) -> Approval:
    return Approval(approval_id=approval_id, title=title, options=options, tool=tool, kind=kind)  # type: ignore[arg-type]


def agent(
    asked: Approval | None = None,
    *,
    agent_id: str = "agent_1",
    task_id: str = "task_1",
    step: str | None = None,
    status: str | None = None,
) -> SubAgent:
    return SubAgent(
        agent_id=agent_id,
        daemon_id="daemon_1",
        user_id=ADA,
        session_id="master_1",
        goal="fix it",
        status=status or ("running" if asked is None else "needs_approval"),  # type: ignore[arg-type]
        task_id=task_id,
        current_step=step,
        approval=asked,
        created_at=1,
        updated_at=1,
    )


def task(
    task_id: str = "task_1",
    *,
    answer: str | None = None,
    type: ResultType = "direct_response",
    error: str | None = None,
    phase: Phase = "deciding",
    source: str = "voice",
    query: str = "what time is it",
) -> Task:
    result = None if answer is None else TaskResult(type=type, glasses_display=answer, webview_content=answer)
    is_over = result is not None or error is not None
    status = "processing" if not is_over else "failed" if error is not None else "completed"
    return Task(
        task_id=task_id,
        user_id=ADA,
        conversation_id="conv_1",
        query=query,
        source=source,  # type: ignore[arg-type]
        status=status,  # type: ignore[arg-type]
        phase=None if is_over else phase,
        result=result,
        error=error,
        created_at=1,
        updated_at=1,
        completed_at=2 if is_over else None,
    )


class Talk:
    """One wearer's conversation: events at a time, ticks when they are due."""

    def __init__(self, settings: SogaSettings = SETTINGS, *, has_speaker: bool = False) -> None:
        self.settings = settings
        self.state = Conversation()
        self.now = 1000.0
        self.effects: list[events.Effect] = []
        self._utterances = itertools.count(1)
        self.hear(events.GlassesKnown(has_display=True, has_speaker=has_speaker), events.Connected())
        self.wait(1.0)
        self.effects.clear()

    def hear(self, *heard: events.Event) -> list[events.Effect]:
        """What comes of these events, now."""
        came: list[events.Effect] = []
        for event in heard:
            self.state, effects = step(self.state, event, self.now, self.settings)
            came += effects
        self.effects += came
        return came

    def wait(self, seconds: float) -> list[events.Effect]:
        """Let time pass, with the ticks that come due."""
        until, came = self.now + seconds, []
        while (due := deadline(self.state, self.settings)) is not None and due <= until:
            self.now = max(self.now, due)
            came += self.hear(events.Tick())
        self.now = until
        return came

    def say(self, text: str, *, lasts_s: float = 1.0) -> list[events.Effect]:
        """A whole utterance, from its first interim to its final."""
        utterance = f"utterance {next(self._utterances)}"
        first = text.split()[0]
        came = self.hear(events.Heard(text=first, is_final=False, utterance=utterance, lasted_s=0.2))
        came += self.wait(lasts_s)
        came += self.hear(events.Heard(text=text, is_final=True, utterance=utterance, lasted_s=lasts_s))
        return came

    def press(self, *, is_long: bool = False) -> list[events.Effect]:
        return self.hear(events.Pressed(is_long=is_long))

    def nod(self, times: int = 2) -> list[events.Effect]:
        came = []
        for _ in range(times):
            came += self.hear(events.HeadMoved(is_up=True))
            came += self.wait(0.3)
            came += self.hear(events.HeadMoved(is_up=False))
            came += self.wait(0.3)
        return came

    def ask(self, question: str = "what time is it") -> None:
        """A question that is put, and taken as `task_1`."""
        self.press()
        self.say(question)
        self.press()
        self.hear(events.TaskSeen(task()))

    @property
    def lens(self) -> str:
        """What stands on the lens, as far as was shown."""
        shown = of(events.Show, self.effects)
        return shown[-1].text if shown else ""


def of(kind: type[E], effects: list[events.Effect]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]
