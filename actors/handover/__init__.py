"""The hand-over of `glasshouse reload`: a session as it stands, with its sockets, to the next process.

`record.py` is what is told and `capture.py` how it is read off the actors' states, `adoption.py` what the
session begins with in the next process. All of it is pure; `config.reload` moves the records and the sockets.
"""

from .adoption import GoneConnection, adopted
from .capture import capture
from .record import (
    VERSION,
    HandedApp,
    HandedLink,
    HandedSession,
    UnreadableRecordError,
    connections_of,
    decode,
    encode,
)

__all__ = [
    "VERSION",
    "GoneConnection",
    "HandedApp",
    "HandedLink",
    "HandedSession",
    "UnreadableRecordError",
    "adopted",
    "capture",
    "connections_of",
    "decode",
    "encode",
]
