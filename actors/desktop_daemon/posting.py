"""Which report goes to the server next. A pure machine.

Of an agent's state the newest counts, its log is bounded, and its outcome is repeated until the server has
taken it or says for good that it will not. One report of an agent is under way at a time, so they arrive in
order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from protocols.desktop.reports import CompleteReport, LogReport, StatusReport

from .cutting import SMALLEST_BYTES, cut_result
from .ports import ReportAnswer
from .settings import ReportSettings

Kind = Literal["status", "log", "complete"]
LogType = Literal["stdout", "stderr", "status", "note"]

_NOT_FINAL = frozenset({401, 408, 425, 429})
"""Refusals of this attempt: the token may be exchanged, the server may have too much to do."""

_TOO_LARGE = 413
_LONGEST_RETRY_AFTER_S = 300.0


class Piece(msgspec.Struct, frozen=True):
    """Some of a log."""

    type: LogType
    content: str


_LEFT_OUT = Piece("note", "[... output left out ...]\n")


class Sent(msgspec.Struct, frozen=True):
    """What is under way."""

    number: int
    kind: Kind
    report: StatusReport | LogReport | CompleteReport


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """What waits of one agent. Times are the system clock's seconds.

    Attributes:
      status_at, log_at: when the pace allows the next one.
      retry_at: nothing goes before; the attempt before came to nothing.
      result_bytes: what the server took last time it found a result too large; None until then.
    """

    status: StatusReport | None = None
    is_urgent: bool = False
    status_at: float = 0.0
    log: tuple[Piece, ...] = ()
    log_at: float = 0.0
    outcome: CompleteReport | None = None
    sent: Sent | None = None
    attempts: int = 0
    retry_at: float = 0.0
    result_bytes: int | None = None


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """All that waits, by agent, the agent that spoke first at the front."""

    lanes: Mapping[str, Lane] = {}
    number: int = 0
    limit_bytes: int = 262_144


class Post(msgspec.Struct, frozen=True):
    """Send this."""

    agent_id: str
    sent: Sent


class Delivered(msgspec.Struct, frozen=True):
    """The outcome needs no further attempt. `status` is the server's last word; 2xx where it took it."""

    agent_id: str
    status: int


def told(posting: Posting, agent_id: str, report: StatusReport, *, is_urgent: bool) -> Posting:
    """With a newer state of an agent."""
    lane = _lane(posting, agent_id)
    if lane.outcome is not None:
        return posting
    return _with(
        posting, agent_id, msgspec.structs.replace(lane, status=report, is_urgent=lane.is_urgent or is_urgent)
    )


def logged(posting: Posting, agent_id: str, piece: Piece, settings: ReportSettings) -> Posting:
    """With more of an agent's log; what is too much of it goes, the oldest first."""
    lane = _lane(posting, agent_id)
    log = _bounded((*lane.log, piece), settings.log_characters)
    return _with(posting, agent_id, msgspec.structs.replace(lane, log=log))


def concluded(posting: Posting, agent_id: str, outcome: CompleteReport) -> Posting:
    """With an agent's end; the first counts. Its state is of no interest any more."""
    lane = _lane(posting, agent_id)
    if lane.outcome is not None:
        return posting
    ended = msgspec.structs.replace(
        lane, outcome=outcome, status=None, is_urgent=False, attempts=0, retry_at=0.0
    )
    return _with(posting, agent_id, ended)


def again(posting: Posting, *, forget_sent: bool = False) -> Posting:
    """Without the waits for another attempt: the server is there.

    Args:
      forget_sent: what is under way will not be answered; it waits again.
    """
    lanes = {
        agent_id: msgspec.structs.replace(_unsent(lane) if forget_sent else lane, attempts=0, retry_at=0.0)
        for agent_id, lane in posting.lanes.items()
    }
    return msgspec.structs.replace(posting, lanes=lanes)


def next_posts(posting: Posting, now: float, settings: ReportSettings) -> tuple[Posting, tuple[Post, ...]]:
    """What is to be sent now."""
    free = settings.at_once - sum(lane.sent is not None for lane in posting.lanes.values())
    posts: list[Post] = []
    for agent_id, lane in sorted(posting.lanes.items(), key=_urgency):
        if free <= len(posts):
            break
        kind = _next_kind(lane, now)
        if kind is None:
            continue
        posting = msgspec.structs.replace(posting, number=posting.number + 1)
        sending = _sending(lane, kind, posting, now, settings)
        posting = _with(posting, agent_id, sending)
        assert sending.sent is not None
        posts.append(Post(agent_id, sending.sent))
    return posting, tuple(posts)


def answered(
    posting: Posting,
    agent_id: str,
    number: int,
    answer: ReportAnswer | None,
    now: float,
    chance: float,
    settings: ReportSettings,
) -> tuple[Posting, Delivered | None]:
    """After an attempt.

    Args:
      answer: None where nobody answered.
      chance: 0 to 1, drawn for this wait.
    """
    lane = posting.lanes.get(agent_id)
    if lane is None or lane.sent is None or lane.sent.number != number:
        return posting, None
    kind = lane.sent.kind
    status = 0 if answer is None else answer.status
    if 200 <= status < 300 or (400 <= status < 500 and status not in _NOT_FINAL and status != _TOO_LARGE):
        if kind == "complete":
            return _without(posting, agent_id), Delivered(agent_id, status)
        done = msgspec.structs.replace(lane, sent=None, attempts=0, retry_at=0.0)
        return _with(posting, agent_id, done), None
    if status == _TOO_LARGE:
        return _too_large(posting, agent_id, lane)
    attempts = lane.attempts + 1
    asked_s = 0.0 if answer is None else answer.retry_after_s or 0.0
    wait_s = min(settings.first_s * 2.0 ** min(attempts - 1, 32), settings.longest_s)
    wait_s = max(wait_s * (0.8 + 0.4 * chance), min(asked_s, _LONGEST_RETRY_AFTER_S))
    waiting = msgspec.structs.replace(_unsent(lane), attempts=attempts, retry_at=now + wait_s)
    return _with(posting, agent_id, waiting), None


def due_at(posting: Posting, settings: ReportSettings) -> float | None:
    """When `next_posts` has something next; None where an answer or news must come first."""
    if sum(lane.sent is not None for lane in posting.lanes.values()) >= settings.at_once:
        return None
    moments = [moment for lane in posting.lanes.values() if (moment := _lane_due_at(lane)) is not None]
    return min(moments, default=None)


def _next_kind(lane: Lane, now: float) -> Kind | None:
    if lane.sent is not None or now < lane.retry_at:
        return None
    if lane.outcome is not None:
        return "log" if lane.log and lane.attempts == 0 else "complete"
    if lane.status is not None and (lane.is_urgent or now >= lane.status_at):
        return "status"
    return "log" if lane.log and now >= lane.log_at else None


def _lane_due_at(lane: Lane) -> float | None:
    if lane.sent is not None:
        return None
    if lane.outcome is not None:
        return lane.retry_at
    moments = []
    if lane.status is not None:
        moments.append(0.0 if lane.is_urgent else lane.status_at)
    if lane.log:
        moments.append(lane.log_at)
    return max(min(moments), lane.retry_at) if moments else None


def _urgency(item: tuple[str, Lane]) -> int:
    return 0 if item[1].is_urgent else 1 if item[1].outcome is not None else 2


def _sending(lane: Lane, kind: Kind, posting: Posting, now: float, settings: ReportSettings) -> Lane:
    match kind:
        case "status":
            assert lane.status is not None
            return msgspec.structs.replace(
                lane,
                sent=Sent(posting.number, kind, lane.status),
                status=None,
                is_urgent=False,
                status_at=now + settings.status_s,
            )
        case "log":
            report, rest = _first_piece(lane.log, settings.piece_characters)
            return msgspec.structs.replace(
                lane, sent=Sent(posting.number, kind, report), log=rest, log_at=now + settings.log_s
            )
        case "complete":
            assert lane.outcome is not None
            limit = posting.limit_bytes if lane.result_bytes is None else lane.result_bytes
            report_fitting = fitting(lane.outcome, limit)
            return msgspec.structs.replace(lane, sent=Sent(posting.number, kind, report_fitting))


def fitting(outcome: CompleteReport, limit_bytes: int) -> CompleteReport:
    """`outcome` with a result of at most `limit_bytes`; without one where that is no room for anything."""
    if outcome.result is None:
        return outcome
    result = cut_result(outcome.result, limit_bytes) if limit_bytes >= SMALLEST_BYTES else None
    return msgspec.structs.replace(outcome, result=result)


def _too_large(posting: Posting, agent_id: str, lane: Lane) -> tuple[Posting, Delivered | None]:
    """Cut further and try at once; what cannot be cut is not sent again."""
    assert lane.sent is not None
    report = lane.sent.report
    if not isinstance(report, CompleteReport):
        return _with(posting, agent_id, msgspec.structs.replace(lane, sent=None)), None
    if report.result is None:
        return _without(posting, agent_id), Delivered(agent_id, _TOO_LARGE)
    smaller = len(report.result.encode()) // 2
    cut = msgspec.structs.replace(_unsent(lane), result_bytes=smaller, retry_at=0.0)
    return _with(posting, agent_id, cut), None


def _unsent(lane: Lane) -> Lane:
    """What was under way waits again, unless something newer has taken its place."""
    if lane.sent is None:
        return lane
    report = lane.sent.report
    if isinstance(report, StatusReport) and lane.status is None and lane.outcome is None:
        is_urgent = lane.is_urgent or report.approval is not None
        return msgspec.structs.replace(lane, sent=None, status=report, is_urgent=is_urgent)
    if isinstance(report, LogReport):
        piece = Piece(report.type, report.content)
        return msgspec.structs.replace(lane, sent=None, log=(piece, *lane.log))
    return msgspec.structs.replace(lane, sent=None)


def _first_piece(log: tuple[Piece, ...], most: int) -> tuple[LogReport, tuple[Piece, ...]]:
    """The first pieces of one type as one report, and what is left."""
    first = log[0].type
    text = ""
    for index, piece in enumerate(log):
        if piece.type != first:
            return LogReport(type=first, content=text), log[index:]
        room = most - len(text)
        if len(piece.content) > room:
            rest = (Piece(first, piece.content[room:]), *log[index + 1 :])
            return LogReport(type=first, content=text + piece.content[:room]), rest
        text += piece.content
    return LogReport(type=first, content=text), ()


def _bounded(log: tuple[Piece, ...], most: int) -> tuple[Piece, ...]:
    """The end of `log`, at most so many characters behind a note that says so, small pieces joined."""
    is_cut = log[0] == _LEFT_OUT
    joined: list[Piece] = []
    for piece in log[is_cut:]:
        if joined and joined[-1].type == piece.type and len(joined[-1].content) < 1024:
            joined[-1] = Piece(piece.type, joined[-1].content + piece.content)
        else:
            joined.append(piece)
    excess = sum(len(piece.content) for piece in joined) - most
    is_cut = is_cut or excess > 0
    while excess > 0:
        oldest = joined.pop(0)
        if len(oldest.content) > excess:
            joined.insert(0, Piece(oldest.type, oldest.content[excess:]))
        excess -= len(oldest.content)
    return (_LEFT_OUT, *joined) if is_cut else tuple(joined)


def _lane(posting: Posting, agent_id: str) -> Lane:
    return posting.lanes.get(agent_id) or Lane()


def _with(posting: Posting, agent_id: str, lane: Lane) -> Posting:
    return msgspec.structs.replace(posting, lanes={**posting.lanes, agent_id: lane})


def _without(posting: Posting, agent_id: str) -> Posting:
    lanes = {known: lane for known, lane in posting.lanes.items() if known != agent_id}
    return msgspec.structs.replace(posting, lanes=lanes)
