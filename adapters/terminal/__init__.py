"""Terminal agents: a program in a pseudo-terminal, its screen, and the machine that says what it does.

`Terminals` makes them; `pty` runs a program, `terminal` draws and bounds what it prints, `agent_run` brings
both together with a machine of `actors.desktop_daemon`.
"""

from __future__ import annotations

from .agents import Terminals, end_left_over
from .settings import ClaudeMode, TerminalSettings

__all__ = ["ClaudeMode", "TerminalSettings", "Terminals", "end_left_over"]
