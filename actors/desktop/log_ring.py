"""The newest of what an agent's terminal printed: bounded by bytes, kept with the agent."""

from __future__ import annotations

import msgspec

from .messages import AgentLogged

ENTRY_BYTES = 64
"""What an entry counts beside its text."""


class LogRing(msgspec.Struct, frozen=True):
    """Attributes:
    size: of the entries, in bytes.
    is_kept: the store has all of it.
    """

    entries: tuple[AgentLogged, ...] = ()
    size: int = 0
    is_kept: bool = True


def added(ring: LogRing, entry: AgentLogged, limit: int) -> LogRing:
    """The ring with `entry`, the oldest gone as far as `limit` bytes want it; the newest one always stays."""
    entries = (*ring.entries, entry)
    size = ring.size + _size(entry)
    drop = 0
    while size > limit and drop < len(entries) - 1:
        size -= _size(entries[drop])
        drop += 1
    return LogRing(entries[drop:], size, is_kept=False)


def encode(ring: LogRing) -> bytes:
    """The ring as it is kept."""
    return msgspec.json.encode(ring.entries)


def decode(document: bytes) -> LogRing:
    """A kept ring. Raises msgspec.DecodeError."""
    entries = msgspec.json.decode(document, type=tuple[AgentLogged, ...])
    return LogRing(entries, sum(map(_size, entries)))


def _size(entry: AgentLogged) -> int:
    return ENTRY_BYTES + len(entry.content.encode())
