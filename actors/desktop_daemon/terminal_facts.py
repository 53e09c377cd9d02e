"""What the machine of a terminal agent is told of its program, and what it wants done.

A machine is a pair of functions: `step(state, fact, now) -> state, effects` and `wake_at(state)`, the time at
which it wants `TimePassed` if nothing else happens before. Times are seconds on one clock.
"""

from __future__ import annotations

import msgspec

from protocols.desktop.documents import Decision

from .claude_hooks import HookEvent
from .claude_stream import Overlong
from .ports import AgentEvent
from .screens import Screen

# ---------------------------------------------------------------------------------------------------------
# Facts


class Started(msgspec.Struct, frozen=True):
    """The program runs."""


class ScreenShown(msgspec.Struct, frozen=True):
    """The terminal shows this now.

    Attributes:
      bytes_read: that it has printed since its start: two equal screens with other counts are two moments.
    """

    screen: Screen
    bytes_read: int


class Prompted(msgspec.Struct, frozen=True):
    """A shell of ours has shown its prompt.

    Attributes:
      code: how what ran before it has ended.
      text: what was printed since the prompt before.
    """

    code: int
    text: str = ""


class Ended(msgspec.Struct, frozen=True):
    """The program has ended.

    Attributes:
      how: for people: `exit status 1`, `signal SIGKILL`.
      code: None for a signal.
      text: the last of what it printed.
    """

    how: str
    code: int | None
    text: str = ""


class Answered(msgspec.Struct, frozen=True):
    """Somebody has decided."""

    approval_id: str
    decision: Decision
    choice: str | None = None
    message: str | None = None


class InputGiven(msgspec.Struct, frozen=True):
    """Somebody wants this typed."""

    text: str


class InterruptAsked(msgspec.Struct, frozen=True):
    """Somebody wants it to stop what it does."""


class TimePassed(msgspec.Struct, frozen=True):
    """It is `wake_at` now, or later."""


class HookHeard(msgspec.Struct, frozen=True):
    """A hook has called. `number` is the call's; a permission request waits for its HookReply."""

    number: int
    event: HookEvent


class HookLost(msgspec.Struct, frozen=True):
    """Who asked for a permission does not wait for the answer any more."""

    number: int


class LineHeard(msgspec.Struct, frozen=True):
    """A program without a terminal has written this line."""

    line: bytes | Overlong


class Described(msgspec.Struct, frozen=True):
    """What an observer said of a screen."""

    text: str


ProgramFact = (
    Started
    | ScreenShown
    | Prompted
    | Ended
    | Answered
    | InputGiven
    | InterruptAsked
    | TimePassed
    | HookHeard
    | HookLost
    | LineHeard
    | Described
)

# ---------------------------------------------------------------------------------------------------------
# Effects


class Tell(msgspec.Struct, frozen=True):
    """Say this to the agent's actor."""

    event: AgentEvent


class Type(msgspec.Struct, frozen=True):
    """Type these keys."""

    keys: str


class HookReply(msgspec.Struct, frozen=True):
    """Answer a permission request."""

    number: int
    body: bytes


class Send(msgspec.Struct, frozen=True):
    """Write this line to a program without a terminal."""

    line: bytes


class Describe(msgspec.Struct, frozen=True):
    """Let an observer say what this screen shows, if there is one. It cannot do more than that."""

    screen: Screen


class End(msgspec.Struct, frozen=True):
    """The run is over: end the program and all it started."""


class Again(msgspec.Struct, frozen=True):
    """The program has ended and is started again, to go on in its session."""


ProgramEffect = Tell | Type | HookReply | Send | Describe | Again | End
