"""The terminal agents of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import trio

from actors.desktop_daemon.ports import AgentOrder, Emit, Failed, TerminalAgent
from actors.language_ports import LanguageModel
from protocols.desktop.documents import Decision

from .claude import find_claude, open_claude
from .environment import MARK
from .process_tree import end_marked
from .settings import TerminalSettings
from .shells import find_python, open_bash, open_command, open_python

_Open = Callable[[TerminalSettings, AgentOrder, Mapping[str, str]], TerminalAgent]


class Terminals:
    """Implements `actors.desktop_daemon.ports.TerminalAgents`.

    Args:
      ours: the daemon's own environment.
      observer: a model that describes a screen which nobody understands, for the log; None asks nobody.
    """

    def __init__(
        self,
        settings: TerminalSettings,
        ours: Mapping[str, str] = os.environ,
        observer: LanguageModel | None = None,
    ) -> None:
        self._settings = settings
        self._ours = ours
        self._observer = observer
        self._adapters = self._find_adapters()

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters whose programs are installed here."""
        return tuple(self._adapters)

    def can_resume(self, adapter: str) -> bool:
        """Whether an agent of this adapter goes on where its last run was cut off, or had ended."""
        return adapter == "claude"

    def open(self, order: AgentOrder) -> TerminalAgent:
        """A run of `order`. Never raises."""
        adapter = self._adapters.get(order.adapter)
        if adapter is None:
            return _NoAgent(f"There is no {order.adapter} on this computer.")
        return adapter(self._settings, order, self._ours)

    def _find_adapters(self) -> dict[str, _Open]:
        path = self._ours.get("PATH")
        found: dict[str, _Open] = {}
        if shutil.which("bash", path=path):
            found["bash"] = open_bash
        if find_python(self._ours):
            found["python"] = open_python
        if find_claude(self._settings, self._ours):
            found["claude"] = partial(open_claude, model=self._observer)
        found["command"] = open_command
        return found


class _NoAgent:
    """What cannot run says so as a run."""

    def __init__(self, error: str) -> None:
        self._error = error

    async def run(self, emit: Emit) -> None:
        emit(Failed(self._error))

    def answer(self, approval_id: str, decision: Decision, choice: str | None, message: str | None) -> bool:
        return False

    def send_input(self, text: str) -> None:
        pass

    def interrupt(self) -> None:
        pass


async def end_left_over(agent_ids: Iterable[str]) -> None:
    """End what a daemon before this one has left of these agents.

    A program ends with its terminal, unless its daemon is killed in the moment in which it starts another.
    """
    for agent_id in agent_ids:
        await trio.to_thread.run_sync(end_marked, (MARK, agent_id))
