"""What the server and the process that asks MongoDB say to each other over two pipes.

A message is one of these structs in MessagePack, in as many frames of `protocols.pipe_frames` as it needs:
the first byte of a frame says whether more follow. The first message is `Configure`; `Ready` or `Unready`
answers it. Then every `Call` is answered by an `Answer` or a `Fault` of its number, in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from actors.document_ports import KeepNewest, PutDocument, RemoveDocument
from actors.ports import KeptTranscript, PutUser, RemoveApp, SetRunningApps, SnapshotToSave
from protocols.pipe_frames import FrameError, PipeReader, frame

COMMAND: Final = ("-P", "-m", "adapters.storage.mongodb.worker")
"""What a Python is started with to be the process."""

MOST_MESSAGE_BYTES: Final = 256 * 1024 * 1024
"""A message of more is nonsense: MongoDB's own largest has 48 MB."""

_PIECE_BYTES: Final = 512 * 1024
_MORE: Final = b"\0"
_LAST: Final = b"\1"


class Configure(msgspec.Struct, frozen=True, kw_only=True, tag="configure"):
    """What the process works with; the meaning is in `settings` and `sealing`."""

    uri: str
    database: str
    attempt_s: float
    start_s: float
    key: str = ""
    former_keys: tuple[str, ...] = ()


class PutAppText(msgspec.Struct, frozen=True):
    """`PutApp`, as JSON: what an app gave of it comes back as it was given."""

    package_name: str
    document: str


WireChange = PutAppText | RemoveApp | PutUser | SetRunningApps | PutDocument | RemoveDocument | KeepNewest

_CHANGES: Final[dict[str, type[WireChange]]] = {
    kind.__name__: kind
    for kind in (PutAppText, RemoveApp, PutUser, SetRunningApps, PutDocument, RemoveDocument, KeepNewest)
}

PackedChange = tuple[str, msgspec.Raw]


class Commit(msgspec.Struct, frozen=True, tag="commit"):
    changes: tuple[PackedChange, ...]


class FindApp(msgspec.Struct, frozen=True, tag="find_app"):
    package_name: str


class ListApps(msgspec.Struct, frozen=True, tag="list_apps"):
    pass


class FindUser(msgspec.Struct, frozen=True, tag="find_user"):
    user_id: str


class ClaimUser(msgspec.Struct, frozen=True, tag="claim_user"):
    user_id: str


class SaveSnapshots(msgspec.Struct, frozen=True, tag="save_snapshots"):
    snapshots: tuple[SnapshotToSave, ...]


class ForgetSnapshot(msgspec.Struct, frozen=True, tag="forget_snapshot"):
    user_id: str
    epoch: int


class ListSnapshots(msgspec.Struct, frozen=True, tag="list_snapshots"):
    pass


class KeepTranscripts(msgspec.Struct, frozen=True, tag="keep_transcripts"):
    kept: tuple[KeptTranscript, ...]
    before_ms: int


class FindTranscripts(msgspec.Struct, frozen=True, tag="find_transcripts"):
    user_id: str


class ForgetTranscripts(msgspec.Struct, frozen=True, tag="forget_transcripts"):
    user_id: str


class FindDocument(msgspec.Struct, frozen=True, tag="find_document"):
    collection: str
    key: str


class ListDocuments(msgspec.Struct, frozen=True, tag="list_documents"):
    collection: str
    user_id: str | None
    limit: int
    only_unfinished: bool


class ListUnfinishedUsers(msgspec.Struct, frozen=True, tag="list_unfinished_users"):
    collections: tuple[str, ...]


Read = (
    FindApp
    | ListApps
    | FindUser
    | ListSnapshots
    | FindTranscripts
    | FindDocument
    | ListDocuments
    | ListUnfinishedUsers
)
SnapshotWrite = ClaimUser | SaveSnapshots | ForgetSnapshot | KeepTranscripts | ForgetTranscripts
Request = Commit | Read | SnapshotWrite


class Call(msgspec.Struct, frozen=True, tag="call"):
    """Ask something.

    Attributes:
      until: when nobody waits for the answer any more, in seconds of the machine's monotonic clock.
    """

    number: int
    until: float
    request: Request


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The database is there and in its current form.

    Attributes:
      has_transactions: whether a commit of several documents is all or nothing in every case.
    """

    server: str
    has_transactions: bool


class Unready(msgspec.Struct, frozen=True, tag="unready"):
    """It cannot be worked with; the process ends."""

    cause: str
    retry_after_s: float


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    number: int
    value: msgspec.Raw


class Fault(msgspec.Struct, frozen=True, tag="fault"):
    number: int
    cause: str
    retry_after_s: float


ToWorker = Configure | Call
FromWorker = Ready | Unready | Answer | Fault

_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=int)  # bson's integers of 64 bits are not plain ones
_TO_WORKER: Final[msgspec.msgpack.Decoder[ToWorker]] = msgspec.msgpack.Decoder(ToWorker)
_FROM_WORKER: Final[msgspec.msgpack.Decoder[FromWorker]] = msgspec.msgpack.Decoder(FromWorker)


def pack(message: ToWorker | FromWorker) -> bytes:
    """The frames of a message."""
    payload = _ENCODER.encode(message)
    if len(payload) <= _PIECE_BYTES:
        return frame(_LAST, payload)
    pieces = [payload[at : at + _PIECE_BYTES] for at in range(0, len(payload), _PIECE_BYTES)]
    return b"".join(frame(_LAST if piece is pieces[-1] else _MORE, piece) for piece in pieces)


def value(answer: object) -> msgspec.Raw:
    """What an `Answer` carries."""
    return msgspec.Raw(_ENCODER.encode(answer))


def packed(change: WireChange) -> PackedChange:
    return type(change).__name__, msgspec.Raw(_ENCODER.encode(change))


def unpacked(changes: Sequence[PackedChange]) -> tuple[WireChange, ...]:
    """Raises msgspec.MsgspecError and KeyError for what nobody packed."""
    return tuple(msgspec.msgpack.decode(body, type=_CHANGES[kind]) for kind, body in changes)


def to_worker(payload: bytes) -> ToWorker:
    """Raises msgspec.DecodeError."""
    return _TO_WORKER.decode(payload)


def from_worker(payload: bytes) -> FromWorker:
    """Raises msgspec.DecodeError."""
    return _FROM_WORKER.decode(payload)


class MessageReader:
    """Turns what a pipe gives into the payloads of messages."""

    def __init__(self) -> None:
        self._pipe = PipeReader()
        self._pieces: list[bytes] = []
        self._bytes = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """All that are complete now, in order.

        Raises:
          FrameError: a length or a first byte that nobody sends.
        """
        payloads = []
        for content in self._pipe.feed(chunk):
            if content[:1] not in (_MORE, _LAST):
                raise FrameError(f"a frame begins with {content[:1]!r}")
            self._pieces.append(content[1:])
            self._bytes += len(content)
            if self._bytes > MOST_MESSAGE_BYTES:
                raise FrameError(f"a message of more than {MOST_MESSAGE_BYTES} bytes")
            if content[:1] == _LAST:
                payloads.append(b"".join(self._pieces))
                self._pieces, self._bytes = [], 0
        return payloads
