"""What the server and the process of its model say to each other, a frame of `pipe_frames` each."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from actors.language_ports import ErrorKind, ModelAnswer, ModelRequest
from adapters.language_model.settings import AnthropicSettings
from protocols.pipe_frames import MOST_BYTES, frame


class Configure(msgspec.Struct, frozen=True, tag=True):
    """The first frame. The key goes this way, since arguments and environments can be read by others."""

    key: str
    base_url: str
    settings: AnthropicSettings


class Ask(msgspec.Struct, frozen=True, tag=True):
    """Answer this within `timeout_s`, under this number."""

    number: int
    request: ModelRequest
    timeout_s: float


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Nobody waits for this number any more."""

    number: int


ToWorker = Configure | Ask | Cancel


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The SDK is imported: from here on questions are answered at once."""


class Answered(msgspec.Struct, frozen=True, tag=True):
    number: int
    answer: ModelAnswer


class Failed(msgspec.Struct, frozen=True, tag=True):
    number: int
    kind: ErrorKind
    cause: str
    retry_after_s: float


class Counted(msgspec.Struct, frozen=True, tag=True):
    event: str
    amount: int


class Told(msgspec.Struct, frozen=True, tag=True):
    """A line for the server's log."""

    level: Literal["debug", "info", "warning", "error"]
    event: str
    fields: dict[str, str]


FromWorker = Ready | Answered | Failed | Counted | Told

_encoder: Final = msgspec.json.Encoder()
_to_worker: Final[msgspec.json.Decoder[ToWorker]] = msgspec.json.Decoder(ToWorker)
_from_worker: Final[msgspec.json.Decoder[FromWorker]] = msgspec.json.Decoder(FromWorker)


class TooLargeError(Exception):
    """A message is larger than a frame."""


def pack(message: ToWorker | FromWorker) -> bytes:
    """The frame. Raises TooLargeError."""
    try:
        payload = _encoder.encode(message)
    except UnicodeEncodeError as error:  # half of a surrogate pair, which no JSON holds
        raise TooLargeError(f"it cannot be written: {error}") from error
    if len(payload) > MOST_BYTES:
        raise TooLargeError(f"{len(payload)} bytes; at most {MOST_BYTES} are sent")
    return frame(payload)


def read_to_worker(payload: bytes) -> ToWorker:
    """Raises msgspec.DecodeError."""
    return _to_worker.decode(payload)


def read_from_worker(payload: bytes) -> FromWorker:
    """Raises msgspec.DecodeError."""
    return _from_worker.decode(payload)
