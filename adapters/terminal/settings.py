"""How terminal agents run on this machine."""

from __future__ import annotations

from pathlib import Path

import msgspec


class TerminalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon is configured with.

    Attributes:
      folder: where agents keep what is theirs; made with mode 0700.
      kept_environment: names of variables that agents get beside those of `environment.KEPT`.
      claude: the Claude Code CLI, as a name on PATH or as a path.
      claude_config: its CLAUDE_CONFIG_DIR, the daemon's own: somebody has to log in there once, unless the
        daemon's environment has ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN or CLAUDE_CODE_OAUTH_TOKEN. None for
        the one that the user has, with his login, his settings and what they allow.
    """

    folder: Path
    kept_environment: tuple[str, ...] = ()
    claude: str = "claude"
    claude_config: Path | None = None
