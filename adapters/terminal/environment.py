"""What a terminal agent's program gets of the daemon's environment: no secret that it does not need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

KEPT: Final = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"),
)
MARK: Final = "GLASSHOUSE_AGENT"
"""The variable that tells whose process it is; its value is the agent's id."""


def agent_environment(ours: Mapping[str, str], kept: Iterable[str] = ()) -> dict[str, str]:
    """The environment of an agent's program.

    Args:
      kept: further names that the user wants handed on, a proxy for instance.
    """
    names = (*KEPT, *kept)
    return {
        "LANG": "C.UTF-8",
        **{name: ours[name] for name in names if name in ours},
        "TERM": "xterm-256color",
    }
