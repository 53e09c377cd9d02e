"""What a run tells, between its task and the agent's actor.

Everything waits here, and the actor's mailbox holds one notice that something does. So a flood of output
cannot push out an approval or a result, and a crash of the actor loses nothing: what it had not committed is
still here for its next incarnation. Of the output the newest 32 Ki characters are kept.
"""

from __future__ import annotations

from collections.abc import Callable

from .life import Event, Happened, RunEnded
from .ports import AgentEvent, Output, TerminalAgent, Working

MOST_CHARACTERS = 32_768


class RunGate:
    """One for each run.

    Args:
      notice: tells the actor that `waiting` has something; called when that was empty.
    """

    def __init__(self, notice: Callable[[], object]) -> None:
        self._notice = notice
        self._waiting: list[Event] = []
        self._output: list[Output] = []
        self._characters = 0
        self._left_out = 0

    async def follow(self, run: TerminalAgent) -> None:
        """Run `run` to its end, which is the last thing that waits here. Cancellation is no end."""
        try:
            await run.run(self.emit)
        except Exception as error:
            self._hold(RunEnded(f"{type(error).__name__}: {error}"))
        else:
            self._hold(RunEnded())

    def emit(self, event: AgentEvent) -> None:
        """What the adapter calls."""
        if isinstance(event, Output):
            self._hold_output(event)
            return
        last = self._waiting[-1] if self._waiting else None
        is_step = (
            isinstance(event, Working) and isinstance(last, Happened) and isinstance(last.event, Working)
        )
        if is_step:
            self._waiting.pop()
        self._hold(Happened(event))

    def waiting(self) -> tuple[Event, ...]:
        """All that waits: output first, then the rest in its order."""
        events: list[Event] = []
        if self._left_out:
            events.append(Happened(Output("note", f"[... {self._left_out} characters left out ...]\n")))
        events.extend(Happened(output) for output in self._output)
        return (*events, *self._waiting)

    def clear(self) -> None:
        """All that waited is dealt with."""
        self._waiting.clear()
        self._output.clear()
        self._characters = self._left_out = 0

    def _hold(self, event: Event) -> None:
        was_empty = not self._waiting and not self._output
        self._waiting.append(event)
        if was_empty:
            self._notice()

    def _hold_output(self, output: Output) -> None:
        was_empty = not self._waiting and not self._output
        if len(output.content) > MOST_CHARACTERS:
            self._left_out += len(output.content) - MOST_CHARACTERS
            output = Output(output.type, output.content[-MOST_CHARACTERS:])
        self._output.append(output)
        self._characters += len(output.content)
        while self._characters > MOST_CHARACTERS:
            oldest = self._output.pop(0)
            self._characters -= len(oldest.content)
            self._left_out += len(oldest.content)
        if was_empty:
            self._notice()
