"""How terminal agents run on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

ClaudeMode = Literal["terminal", "stream"]


class TerminalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon is configured with.

    Attributes:
      folder: where agents keep what is theirs; made with mode 0700.
      kept_environment: names of variables that agents get beside those of `environment.KEPT`.
      claude: the Claude Code CLI, as a name on PATH or as a path.
      claude_config: its CLAUDE_CONFIG_DIR, in which this daemon answers the questions of a first start. None
        for `claude` in `folder`. Somebody has to log in there once, unless the daemon's environment has
        ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN or CLAUDE_CODE_OAUTH_TOKEN.
      claude_mode: `terminal` runs it in its terminal and reads hooks and screen; `stream` without one, by its
        structured stream.
      shares_claude: it uses what the user has set up for himself instead: his login, his settings, and what
        those allow unasked.
    """

    folder: Path
    kept_environment: tuple[str, ...] = ()
    claude: str = "claude"
    claude_config: Path | None = None
    claude_mode: ClaudeMode = "terminal"
    shares_claude: bool = False
