"""A whole store as JSON lines: what `glasshouse data export` writes and `import` reads.

The first line says what the file is, the last how many lines lie between: a file that was cut off is not
taken for a whole one. Values that are sealed stay sealed, in the same form in every store (`sealing`), so a
backup gives away no more than the store does and is read with the same keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

FORMAT: Final = "glasshouse data"
VERSION: Final = 1


class Head(msgspec.Struct, frozen=True, tag="head"):
    """The first line."""

    format: str
    version: int
    store: str


class App(msgspec.Struct, frozen=True, tag="app"):
    """An app: its document is JSON in a text, since what an app gave comes back byte for byte."""

    package_name: str
    document: str


class User(msgspec.Struct, frozen=True, tag="user"):
    user_id: str
    created_at_ms: int
    running_apps: tuple[str, ...]


class Session(msgspec.Struct, frozen=True, tag="session"):
    """A user's last owner and its snapshot, plain or sealed; in base64."""

    user_id: str
    epoch: int
    snapshot: bytes | None


class Transcript(msgspec.Struct, frozen=True, tag="transcript"):
    user_id: str
    result_id: str
    at_ms: int
    segment: bytes


class Document(msgspec.Struct, frozen=True, tag="document"):
    """A document of a collection: JSON in a text, or the bytes of a sealed one."""

    collection: str
    key: str
    user_id: str
    updated_at_ms: int
    is_unfinished: bool
    text: str | None = None
    sealed: bytes | None = None


class Tail(msgspec.Struct, frozen=True, tag="tail"):
    """The last line."""

    records: int


Record = App | User | Session | Transcript | Document
_Line = Head | Record | Tail

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[_Line]] = msgspec.json.Decoder(_Line)


class ArchiveError(Exception):
    """The file is no whole archive of a version that this Glasshouse knows. `line` counts from 1."""

    def __init__(self, line: int, cause: str) -> None:
        super().__init__(f"line {line}: {cause}")
        self.line = line


class NotEmptyError(Exception):
    """The store holds something already, and was not to be replaced."""


def lines_of(records: Iterable[Record], store: Literal["sqlite", "mongodb"]) -> Iterator[bytes]:
    """The lines of an archive, each with its end."""
    yield _ENCODER.encode(Head(FORMAT, VERSION, store)) + b"\n"
    count = 0
    for count, record in enumerate(records, start=1):  # noqa: B007 - counted for the last line
        yield _ENCODER.encode(record) + b"\n"
    yield _ENCODER.encode(Tail(count)) + b"\n"


def records_of(lines: Iterable[bytes]) -> Iterator[Record]:
    """What the lines hold. Read it to its end before anything is kept for good.

    Raises:
      ArchiveError: a line is none of an archive, or the last one is missing.
    """
    number, count, is_whole = 0, 0, False
    for number, line in enumerate(lines, start=1):
        try:
            read = _DECODER.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ArchiveError(number, f"no line of an archive: {error}") from error
        if (number == 1) != isinstance(read, Head) or is_whole:
            raise ArchiveError(number, "the first line is to be the head, and the last one the tail")
        match read:
            case Head():
                if (read.format, read.version) != (FORMAT, VERSION):
                    expected = f"{FORMAT!r} of version {VERSION}"
                    raise ArchiveError(1, f"expected {expected}, got {read.format!r} of {read.version}")
            case Tail(records):
                if records != count:
                    raise ArchiveError(number, f"{count} records, the file had {records}")
                is_whole = True
            case _:
                count += 1
                yield read
    if not is_whole:
        raise ArchiveError(number, "the end is missing: the file was cut off")
