"""A run of Claude Code as a test plays it: fact by fact, with a clock of its own."""

from __future__ import annotations

import json

import msgspec

from actors.desktop_daemon.claude_dialog import Dialog
from actors.desktop_daemon.claude_hooks import (
    PermissionRequest,
    UserPromptSubmit,
)
from actors.desktop_daemon.claude_permission import Asking
from actors.desktop_daemon.claude_prompt import first_prompt
from actors.desktop_daemon.claude_run import (
    ENTER_S,
    SETTLE_S,
    ClaudeRun,
    step,
    wake_at,
)
from actors.desktop_daemon.claude_screens import Look, look
from actors.desktop_daemon.ports import AgentEvent, NeedsApproval
from actors.desktop_daemon.screens import Screen
from actors.desktop_daemon.terminal_facts import (
    HookHeard,
    HookReply,
    ProgramEffect,
    ProgramFact,
    ScreenShown,
    Started,
    Tell,
    TimePassed,
    Type,
)
from tests.actors.desktop_daemon.recorded import recorded

PASTE = "\x1b[200~do the\nwhole job\x1b[201~"
DOWN, UP, ESCAPE, ENTER = "\x1b[B", "\x1b[A", "\x1b", "\r"


class Play:
    """Applies facts one after the other and keeps what came of them.

    Attributes:
      pressed: what was typed, with what was on the screen then.
    """

    def __init__(self, goal: str = "do the\nwhole job") -> None:
        prompts = (first_prompt(goal, is_resume=False),)
        self.state = ClaudeRun(asking=Asking(ids="a"), prompts=prompts, going_on="go on")
        self.effects: list[ProgramEffect] = []
        self.pressed: list[tuple[str, Look, Dialog | None]] = []
        self.now = 100.0
        self.bytes_read = 0
        self.hear(Started())

    def hear(self, *facts: ProgramFact, after_s: float = 0.0) -> Play:
        self.now += after_s
        for fact in facts:
            self.state, effects = step(self.state, fact, self.now)
            self.effects += effects
            keys = [effect.keys for effect in effects if isinstance(effect, Type)]
            self.pressed += [(each, look(self.state.screen), self.state.dialog) for each in keys]
        return self

    def show(self, name: str | Screen, *, for_s: float = 0.0, after_s: float = 0.0) -> Play:
        """The terminal shows this, and for so long nothing else."""
        self.bytes_read += 1
        screen = recorded(name) if isinstance(name, str) else name
        self.hear(ScreenShown(screen, self.bytes_read), after_s=after_s)
        return self.wait(for_s)

    def wait(self, seconds: float) -> Play:
        """Time passes, and the run is woken when it wants to be."""
        end = self.now + seconds
        while (wakes := wake_at(self.state)) is not None and wakes <= end:
            assert wakes > self.now
            self.hear(TimePassed(), after_s=wakes - self.now)
        self.now = end
        return self

    def work(self) -> Play:
        """It has been given its goal and has taken it."""
        self.show("ready", for_s=SETTLE_S).show("goal_typed", for_s=ENTER_S)
        return self.hear(HookHeard(1, UserPromptSubmit("do the\nwhole job"))).show(
            "working_thinking", for_s=1
        )

    @property
    def events(self) -> list[AgentEvent]:
        return [effect.event for effect in self.effects if isinstance(effect, Tell)]

    @property
    def typed(self) -> list[str]:
        return [effect.keys for effect in self.effects if isinstance(effect, Type)]

    @property
    def asked(self) -> list[NeedsApproval]:
        return [event for event in self.events if isinstance(event, NeedsApproval)]

    @property
    def replies(self) -> list[HookReply]:
        return [effect for effect in self.effects if isinstance(effect, HookReply)]


def permission(number: int = 7, command: str = "make") -> HookHeard:
    return HookHeard(
        number, PermissionRequest("Bash", msgspec.Raw(msgspec.json.encode({"command": command})))
    )


def decision(reply: HookReply) -> object:
    return json.loads(reply.body)["hookSpecificOutput"]["decision"]
