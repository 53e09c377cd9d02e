"""What a process of ours is started with of its parent's environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "PYTHONPATH")


def child_environment(ours: Mapping[str, str], root: str) -> dict[str, str]:
    """What it needs, and no secret: it runs C code on a stranger's audio.

    Args:
      root: the folder our packages are in; it goes first in PYTHONPATH.
    """
    kept = {name: ours[name] for name in _KEPT if name in ours}
    return {**kept, "PYTHONPATH": ":".join(filter(None, (root, kept.get("PYTHONPATH"))))}
