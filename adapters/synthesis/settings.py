"""Limits of what is spoken."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class FliteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How flite speaks, and how much at once.

    Attributes:
      program: its name on the path, or where it is.
      voice: one of `flite -lv`: slt and rms are clear, and take 30 ms for a sentence.
      at_once: processes at once; what is asked for beyond that waits.
      waiting: how many may wait; more are refused at once.
      wait_s: the longest wait.
      speak_s: a process that takes longer is killed.
      characters: a longer text is refused. 600 are about 40 s of speech, 1.3 MB.
    """

    program: Annotated[str, Meta(min_length=1)] = "flite"
    voice: Annotated[str, Meta(pattern=r"^[a-z0-9_]+$")] = "slt"
    at_once: Annotated[int, Meta(ge=1, le=64)] = 2
    waiting: Annotated[int, Meta(ge=0, le=1_000)] = 16
    wait_s: Annotated[float, Meta(gt=0)] = 5.0
    speak_s: Annotated[float, Meta(gt=0)] = 10.0
    characters: Annotated[int, Meta(ge=1, le=5_000)] = 600
