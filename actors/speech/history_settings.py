"""How much of what was said is remembered, and whether it is stored."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class TranscriptSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What `GET /api/transcripts` can tell an app.

    Attributes:
      keep_s: what was said so long ago is forgotten, in memory and in the store (protocol.md 7.8).
      most_bytes: of one language of one session in memory; beyond it the oldest is forgotten. Half an hour of
        talk without a pause is 150 kB.
      store: keep it in the store as well, under the storage key where there is one. Without it a restart of
        the server forgets what was said.
      write_s: what was said is written so long after, together: so much a kill -9 forgets.
    """

    keep_s: Annotated[float, Meta(ge=1)] = 1800.0
    most_bytes: Annotated[int, Meta(ge=1024)] = 262_144
    store: bool = True
    write_s: Annotated[float, Meta(gt=0)] = 1.0
