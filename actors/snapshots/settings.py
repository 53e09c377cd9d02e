"""Patience and bounds of snapshots."""

from __future__ import annotations

import msgspec


class SnapshotSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How old a snapshot may be, and who waits how long for the store.

    Attributes:
      period_s: each session is looked at so often, and written if it has changed: so much a kill -9 forgets
        (DESIGN section 6).
      claim_s: a phone waits so long for the store to say what it knows of the wearer, then gets a session
        without.
      flush_s: an orderly end waits so long for the last snapshots to be written.
      largest_bytes: a larger snapshot is written without what is on the lens; a bitmap can have a megabyte.
    """

    period_s: float = 1.0
    claim_s: float = 1.0
    flush_s: float = 2.0
    largest_bytes: int = 262_144
