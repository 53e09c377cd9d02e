"""The stream of the glasses' camera: one of a wearer, kept alive by questions to the phone (protocol.md 9.7).

Pure. The phone reports the stream's state and answers each question with its id. A stream ends by a state
that is one of `TERMINAL`, by its app's end, or when the phone is silent: three questions without an answer,
or a minute without any word.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from ..moments import moved
from .request_settings import RequestSettings

TERMINAL: Final = ("stopped", "disconnected", "timeout", "reconnect_failed", "error")


class RtmpStream(msgspec.Struct, frozen=True):
    """A stream that has been asked for and is not over.

    Attributes:
      status: as the phone reported it last.
      heard_at: when the phone last said anything of it.
      ask_at: when the phone is asked next whether it goes on.
      asked: the id of the question that is not answered.
      answer_by: until when it has to be.
      missed: questions in a row that were not answered.
    """

    id: str
    package_name: str
    status: str
    heard_at: float
    ask_at: float
    asked: str | None = None
    answer_by: float | None = None
    missed: int = 0


class Ask(msgspec.Struct, frozen=True):
    """Ask the phone whether the stream goes on."""

    stream_id: str
    ack_id: str


class Lost(msgspec.Struct, frozen=True):
    """The stream is over: the phone says nothing of it any more."""

    cause: str


def begun(id: str, package_name: str, now: float, settings: RequestSettings) -> RtmpStream:
    """A stream that the phone is just being asked for."""
    return RtmpStream(id, package_name, "initializing", now, now + settings.keep_alive_s)


def heard(stream: RtmpStream, status: str, now: float) -> RtmpStream | None:
    """After the phone's report; None where that ends it."""
    return None if status in TERMINAL else replace(stream, status=status, heard_at=now)


def answered(stream: RtmpStream, ack_id: str, now: float) -> RtmpStream:
    """After the phone's answer to a question."""
    if ack_id != stream.asked:
        return stream
    return replace(stream, asked=None, answer_by=None, missed=0, heard_at=now)


def tick(
    stream: RtmpStream, now: float, settings: RequestSettings, *, ack_id: str
) -> tuple[RtmpStream | None, Ask | Lost | None]:
    """What is due by now.

    Args:
      ack_id: for a question, if one is due.
    """
    if stream.answer_by is not None and now >= stream.answer_by:
        stream = replace(stream, asked=None, answer_by=None, missed=stream.missed + 1)
        if stream.missed >= settings.keep_alives_missed:
            return None, Lost(f"the phone left {stream.missed} questions for the stream unanswered")
    if now >= stream.heard_at + settings.stream_silence_s:
        return None, Lost(f"the phone has said nothing of the stream for {settings.stream_silence_s:g} s")
    if now >= stream.ask_at:
        ask_at, answer_by = now + settings.keep_alive_s, now + settings.keep_alive_ack_s
        return replace(stream, asked=ack_id, answer_by=answer_by, ask_at=ask_at), Ask(stream.id, ack_id)
    return stream, None


def deadline(stream: RtmpStream, settings: RequestSettings) -> float:
    """When `tick` is due."""
    due = (stream.ask_at, stream.heard_at + settings.stream_silence_s, stream.answer_by)
    return min(at for at in due if at is not None)


def shifted(stream: RtmpStream, by_s: float) -> RtmpStream:
    """The same stream on a clock that is `by_s` ahead (`actors.moments`)."""
    return replace(
        stream,
        heard_at=stream.heard_at + by_s,
        ask_at=stream.ask_at + by_s,
        answer_by=moved(stream.answer_by, by_s),
    )
