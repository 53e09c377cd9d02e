"""What goes through the pipes between the server and the process that sends its traces."""

from __future__ import annotations

import msgspec

from actors.tracing import Span
from protocols.pipe_frames import frame


class Configure(msgspec.Struct, frozen=True, tag=True):
    """The first frame."""

    endpoint: str
    service_name: str
    version: str


class Spans(msgspec.Struct, frozen=True, tag=True):
    """Finished steps. `epoch_s` is to be added to their times to have those of the calendar."""

    epoch_s: float
    spans: list[Span]


class Told(msgspec.Struct, frozen=True, tag=True):
    """What became of so many spans; `cause` is empty where the collector took them."""

    spans: int
    cause: str = ""


ToWorker = Configure | Spans

_ENCODER = msgspec.msgpack.Encoder()
_TO_WORKER: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
_TOLD = msgspec.msgpack.Decoder(Told)


def pack(message: ToWorker | Told) -> bytes:
    return frame(_ENCODER.encode(message))


def read_to_worker(payload: bytes) -> ToWorker:
    """Raises msgspec.DecodeError."""
    return _TO_WORKER.decode(payload)


def read_told(payload: bytes) -> Told:
    """Raises msgspec.DecodeError."""
    return _TOLD.decode(payload)
