"""What the desktop daemon needs from outside, as Protocols.

The conventions are those of `actors.ports`: a method with `async` is called from a supervised task, never
from a handler; one without never blocks and never waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from protocols.desktop.documents import Approval, Decision

# ---------------------------------------------------------------------------------------------------------
# Terminal agents: adapters/terminal implements these


class AgentOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one agent.

    Attributes:
      adapter: one of the names that `TerminalAgents` offers.
      goal: what it is to do. No control characters but newline and tab.
      cwd: absolute, without symbolic links, inside the allow-list.
      session_uuid: of the agent, chosen by the daemon; every run of an agent has the same, and so has an
        agent that goes on with its session.
      is_resume: an earlier run of this agent was cut off, by a crash of the daemon for instance.
      former_goal: what the session began with, where another agent had it before; `goal` is what it is told
        next. Empty for a session of its own.
      timeout_s: the daemon cancels the run after so long; it is here for what the adapter sets up itself.
      allowed: tools that the user allowed in `cwd`, in the agent's own words: `Read`, `Bash(npm test:*)`.
    """

    agent_id: str
    adapter: str
    goal: str
    cwd: str
    session_uuid: str
    is_resume: bool = False
    former_goal: str = ""
    timeout_s: float = 1800.0
    allowed: tuple[str, ...] = ()


class Ready(msgspec.Struct, frozen=True):
    """It has started and takes its goal."""


class Working(msgspec.Struct, frozen=True):
    """It does something. `step` is one line for people; empty where there is nothing to say."""

    step: str = ""


class NeedsApproval(msgspec.Struct, frozen=True):
    """It waits for an answer.

    Attributes:
      approval: with an id that no other approval of this agent has. Its `expires_at` is not looked at: the
        daemon sets it.
      key: what is asked, in the adapter's own words. While one of the same key is open, a second is the
        same question, seen another way (by a hook and on the screen), and is dropped.
    """

    approval: Approval
    key: str = ""


class Withdrawn(msgspec.Struct, frozen=True):
    """The approval is not waited for any more: somebody answered at the desk, or the agent went on."""

    approval_id: str


class Output(msgspec.Struct, frozen=True):
    """A piece of what it printed, as text without escape sequences."""

    type: Literal["stdout", "stderr", "status", "note"]
    content: str


class Done(msgspec.Struct, frozen=True):
    """It has reached its goal. Nothing that it says later counts; its run is cancelled."""

    result: str


class Failed(msgspec.Struct, frozen=True):
    """It has given up.

    Attributes:
      error: one line for people.
      detail: for the page: an exit status, the last lines of the screen.
    """

    error: str
    detail: str = ""


AgentEvent = Ready | Working | NeedsApproval | Withdrawn | Output | Done | Failed
Emit = Callable[[AgentEvent], None]


class TerminalAgent(Protocol):
    """One run of one agent. The methods without `async` are for while `run` runs; before and after they do
    nothing.
    """

    async def run(self, emit: Emit) -> None:
        """Run until the agent has ended. Called once.

        A run that returns or raises without Done or Failed has failed. `emit` never blocks and never raises;
        call it from this task or its children only.

        Cancellation ends the whole process tree before it returns.
        """

    def answer(self, approval_id: str, decision: Decision, choice: str | None, message: str | None) -> bool:
        """Answer an approval; False when it is not open any more.

        Args:
          choice: an option's id, with `choose`.
          message: what the agent is told along with it.
        """

    def send_input(self, text: str) -> None:
        """Give it another instruction, or the line that its program waits for."""

    def interrupt(self) -> None:
        """Stop what it is doing now, without ending it."""


class TerminalAgents(Protocol):
    """Makes terminal agents."""

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters that can run here: claude, bash, python, command."""

    def can_resume(self, adapter: str) -> bool:
        """Whether an agent of this adapter goes on where its last run was cut off, or had ended."""

    def open(self, order: AgentOrder) -> TerminalAgent:
        """A run of `order`, not started yet. Never raises: what is wrong comes from the run as Failed."""


# ---------------------------------------------------------------------------------------------------------
# Where agents work: adapters/desktop_state implements it


class Place(msgspec.Struct, frozen=True):
    """A directory that agents may work in. `cwd` has no symbolic links; `allowed` as in AgentOrder."""

    cwd: str
    allowed: tuple[str, ...] = ()


class PlaceError(Exception):
    """No agent may work there. The text says why, for people."""


class Places(Protocol):
    async def find(self, working_directory: str | None) -> Place:
        """The place to work in; the user's root for None. Raises PlaceError."""


# ---------------------------------------------------------------------------------------------------------
# What is kept: adapters/desktop_state implements it


class StateError(Exception):
    """The state folder could not be read or written: the disk is full, for instance."""


class StateFolder(Protocol):
    """The daemon's documents by key, each whole or as it was before, whatever ends the process."""

    async def load(self) -> dict[str, bytes]:
        """All of them. What cannot be read is put aside, and left out. Raises StateError."""

    async def put(self, key: str, body: bytes) -> None:
        """Keep `body`; on the disk itself when it returns. Raises StateError: the old one stands."""

    async def remove(self, key: str) -> None:
        """Forget it; no error when there is none. Raises StateError."""


# ---------------------------------------------------------------------------------------------------------
# The server: adapters/desktop_uplink implements these


class LinkClosed(msgspec.Struct, frozen=True):
    """How a connection ended: the peer's close code, 1006 when there was none."""

    code: int
    reason: str = ""


class DialError(Exception):
    """No connection.

    Attributes:
      status: the HTTP status that the server answered the upgrade with; None when nobody answered.
      cause: for people. Never holds the token.
      retry_after_s: when the server said that it is worth dialling again.
    """

    def __init__(self, cause: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.status = status
        self.retry_after_s = retry_after_s


class Link(Protocol):
    """An open connection to the server."""

    def send(self, frame: bytes) -> bool:
        """Send a text frame, or queue it; False when it is closed or its queue is full."""

    def close(self, code: int, reason: str = "") -> None:
        """End it; the dial that opened it returns then."""


class Dialler(Protocol):
    async def dial(self, opened: Callable[[Link], None], heard: Callable[[bytes], None]) -> LinkClosed:
        """Open one connection and serve it until its end.

        Args:
          opened: called once, when frames can be sent.
          heard: called with each text frame, in order.

        Raises DialError when it could not be opened. Cancellation closes it.
        """

    def has_other_token(self) -> bool:
        """Whether there is another token now than the last dial had."""


class ReportAnswer(msgspec.Struct, frozen=True):
    """What the server answered a report with."""

    status: int
    retry_after_s: float | None = None


class ReportError(Exception):
    """No answer. The text never holds the token."""


class Reports(Protocol):
    async def post(self, route: str, body: bytes) -> ReportAnswer:
        """POST JSON to `/daemon-api/` + route. Raises ReportError."""
