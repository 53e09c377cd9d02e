"""One run of a terminal agent: its program, its machine, and what goes between them.

Facts from the terminal, from hooks or pipes, and from the daemon go into one queue; one task takes them out,
asks the machine, and does what it says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

import msgspec
import trio

from actors.desktop_daemon.ports import AgentOrder, Done, Emit, Failed, Output
from actors.desktop_daemon.terminal_facts import (
    Again,
    Answered,
    End,
    Ended,
    InputGiven,
    InterruptAsked,
    ProgramEffect,
    ProgramFact,
    Prompted,
    ScreenShown,
    Started,
    Tell,
    TimePassed,
    Type,
)
from protocols.desktop.documents import Decision

from .environment import MARK
from .kept_text import KeptText, Log
from .process_tree import end_marked
from .pty import Pty, TerminalError
from .terminal import Drawn, Marked, Said, Skipped, Terminal, TerminalFact

S = TypeVar("S")

_NOT_STARTED = "It could not be started."


class Machine(Protocol[S]):
    """A module of `actors.desktop_daemon`."""

    def step(self, state: S, fact: ProgramFact, now: float) -> tuple[S, tuple[ProgramEffect, ...]]: ...
    def wake_at(self, state: S) -> float | None: ...
    def takes(self, state: S, answer: Answered) -> bool:
        """Whether an answer is to a question that is open, and says enough."""


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What is executed.

    Attributes:
      environment: all of it but the agent's mark.
      secret: what the marks of a shell of ours begin with; empty for what is no shell of ours. What a shell
        prints before it has said `start` is its own and not for the log.
      tells_text: whether what it prints is text; otherwise the log gets none of it.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    secret: str = ""
    tells_text: bool = True


class Program(Protocol):
    """What one kind of agent executes, and what it needs beside a terminal."""

    async def start(self, nursery: trio.Nursery, tell: Callable[[ProgramFact], None]) -> None:
        """Start what has to be there before the program. Facts of its own go to `tell`.

        The nursery is cancelled when the program has ended; one that is started again needs it again.
        """

    def launch(self) -> Launch:
        """Make the files that the program needs; called in a thread. Raises OSError."""

    def drain(self) -> None:
        """Tell the last of what it has said beside its terminal: the program has ended."""

    def clean(self) -> None:
        """Take away what `launch` has made; called in a thread, in any case."""

    def perform(self, effect: ProgramEffect) -> None:
        """Do what is not done by the terminal."""


class AgentRun(Generic[S]):
    """Implements `actors.desktop_daemon.ports.TerminalAgent`."""

    def __init__(self, order: AgentOrder, machine: Machine[S], state: S, program: Program) -> None:
        self._order = order
        self._machine = machine
        self._state = state
        self._program = program
        self._facts: deque[ProgramFact] = deque()
        self._has_facts = trio.Event()
        self._pty: Pty | None = None
        self._secret = ""
        self._tells_text = True
        self._text = KeptText()
        self._log = Log()
        self._answered: set[str] = set()

    # What the daemon calls

    async def run(self, emit: Emit) -> None:
        """See the port."""
        is_again = True
        try:
            while is_again:
                is_again = await self._live(emit)
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._program.clean)

    def answer(self, approval_id: str, decision: Decision, choice: str | None, message: str | None) -> bool:
        """See the port."""
        fact = Answered(approval_id, decision, choice, message)
        if self._pty is None or approval_id in self._answered or not self._machine.takes(self._state, fact):
            return False
        self._answered.add(approval_id)
        self._tell(fact)
        return True

    def send_input(self, text: str) -> None:
        """See the port."""
        if self._pty is not None:
            self._tell(InputGiven(text))

    def interrupt(self) -> None:
        """See the port."""
        if self._pty is not None:
            self._tell(InterruptAsked())

    # The program

    async def _live(self, emit: Emit) -> bool:
        """Run one program; whether it is to be started again."""
        is_again = False
        async with trio.open_nursery() as nursery:
            try:
                await self._program.start(nursery, self._tell)
            except OSError as error:
                emit(Failed(_NOT_STARTED, str(error)))
            else:
                is_again = await self._execute(emit)
            nursery.cancel_scope.cancel()
        return is_again

    async def _execute(self, emit: Emit) -> bool:
        mark = (MARK, self._order.agent_id)
        try:
            if self._order.is_resume:
                # What an earlier run had started may have outlived the daemon.
                await trio.to_thread.run_sync(end_marked, mark)
            launch = await trio.to_thread.run_sync(self._program.launch)
            pty = Pty.start(launch.argv, environment=launch.environment, cwd=self._order.cwd, mark=mark)
        except (TerminalError, OSError) as error:
            emit(Failed(_NOT_STARTED, str(error)))
            return False
        self._pty, self._secret, self._text = pty, launch.secret, KeptText()
        self._tells_text = launch.tells_text and not launch.secret
        is_again = False
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._run_terminal, pty)
                is_again = await self._work(emit)
                nursery.cancel_scope.cancel()
        finally:
            self._pty = None
            await pty.aclose()
        return is_again

    async def _run_terminal(self, pty: Pty) -> None:
        status = await Terminal(pty, self._hear).run()
        self._program.drain()
        self._tell(Ended(str(status), status.code, self._text.take()))

    def _hear(self, fact: TerminalFact) -> None:
        match fact:
            case Drawn():
                self._tell(ScreenShown(fact.screen, fact.bytes_read))
            case Said():
                self._text.add(fact.text)
                if self._tells_text:
                    self._log.add(fact.text, trio.current_time())
                    self._has_facts.set()
            case Skipped():
                self._text.skip(fact.count)
                self._log.skip(fact.count)
            case Marked():
                self._take_mark(fact.text)

    def _take_mark(self, text: str) -> None:
        said, _, code = text.rpartition(";")
        if not self._secret or said != self._secret:
            return
        text, self._text = self._text.take(), KeptText()
        if code == "start":
            self._tells_text = True
        elif code.isdecimal():
            self._tell(Prompted(int(code), text))

    # The machine

    def _tell(self, fact: ProgramFact) -> None:
        """Put a fact in order."""
        self._facts.append(fact)
        self._has_facts.set()

    async def _work(self, emit: Emit) -> bool:
        """Until the machine has ended the run, or wants its program started again."""
        self._tell(Started())
        while True:
            while self._facts:
                fact = self._facts.popleft()
                self._state, effects = self._machine.step(self._state, fact, trio.current_time())
                for effect in effects:
                    if isinstance(effect, End | Again):
                        return isinstance(effect, Again)
                    self._do(effect, emit)
            self._tell_log(emit)
            self._has_facts = trio.Event()
            with trio.move_on_at(self._deadline()) as scope:
                await self._has_facts.wait()
            if scope.cancelled_caught:
                self._tell(TimePassed())

    def _do(self, effect: ProgramEffect, emit: Emit) -> None:
        match effect:
            case Tell():
                if isinstance(effect.event, Done | Failed):
                    self._tell_log(emit, is_last=True)
                emit(effect.event)
            case Type():
                self._type(effect.keys)
            case _:
                self._program.perform(effect)

    def _type(self, keys: str) -> None:
        """Type; that a program takes nothing any more is the machine's to notice."""
        assert self._pty is not None
        try:
            self._pty.send(keys.encode(errors="replace"))
        except TerminalError as error:
            self._log.add(f"{error}\n", trio.current_time())

    def _deadline(self) -> float:
        times = [self._machine.wake_at(self._state), self._log.due_at]
        return min((time for time in times if time is not None), default=float("inf"))

    def _tell_log(self, emit: Emit, *, is_last: bool = False) -> None:
        due_at, now = self._log.due_at, trio.current_time()
        if due_at is not None and (is_last or now >= due_at):
            emit(Output("stdout", self._log.take(now)))
