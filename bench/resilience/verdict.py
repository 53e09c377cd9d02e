"""What one scenario cost, read from the records: times, losses, restarts, and whether the aims hold.

Only pure functions over records. A session's own wait is the time until those of its peers that lost their
socket have dialled again, or until its app server listens again where that was killed; what is beyond it is
the server's.
"""

from __future__ import annotations

import itertools
import math
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from bench.report import percentile

from .phones import PRESS_S
from .records import Event, Frames, Reader
from .scenarios import Hit, Scenario

NOTICEABLE_S: Final = 0.15
"""A session that was not hit has noticed something when its audio paused for so much longer than the longest
pause of any session before the fault: one and a half frames."""

DISPLAY_S: Final = PRESS_S + 0.5
"""Until the lens shows something new, at most: the next press, and the display's throttle of 0.3 s."""

UNDER_WAY_S: Final = 0.5
"""What was sent in the last moments of a scenario may not have arrived yet, and is not judged."""


class Window(NamedTuple):
    """From the fault until all has been well for a while.

    Attributes:
      quiet_gap_s: the longest pause of any session's audio before the fault.
    """

    began: float
    ended: float
    quiet_gap_s: float


class Recovery(NamedTuple):
    """How a session that was hit came back, in seconds from the fault; infinite where it did not.

    Attributes:
      own_s: its peers' own wait.
      audio_s: the first frame that was sent after the fault has arrived at the app.
      display_s: the lens shows the last display again, or a newer one.
      dial_to_display_s: from the phone's dial; None where its socket stood.
    """

    own_s: float
    audio_s: float
    display_s: float
    dial_to_display_s: float | None

    @property
    def beyond_s(self) -> float:
        return max(0.0, self.audio_s - self.own_s)


class Count(NamedTuple):
    """Numbered things of one kind: what became of them."""

    sent: int = 0
    lost: int = 0
    doubled: int = 0
    disorder: int = 0

    def plus(self, other: Count) -> Count:
        return Count(*(mine + its for mine, its in zip(self, other, strict=True)))


class Outcome(NamedTuple):
    """Attributes:
    frames, presses: of the sessions that were hit.
    others_lost: frames and presses of the other sessions that did not arrive.
    stale: displays that came after a newer one of the same session.
    sessions: how often `onSession` ran; needless: beyond what the scenario has to cost, and each webhook that
      came while the app's socket was up.
    noticed: sessions that were not hit and noticed something.
    closes: how sockets ended, and errors that peers were told, counted.
    late_s: how late the driver sent its frames, 99 of 100.
    """

    recoveries: Sequence[Recovery]
    frames: Count
    presses: Count
    others_lost: int
    stale: int
    sessions: int
    needless: int
    noticed: Sequence[int]
    closes: Mapping[str, int]
    late_s: float


def outcome(scenario: Scenario, hits: Sequence[Hit], window: Window, reader: Reader) -> Outcome:
    """What a scenario cost; `reader` has read past the window."""
    events: dict[int, list[Event]] = defaultdict(list)
    listening = [event.at for event in reader.events if event.kind == "listening"]
    for event in reader.events:
        if window.began <= event.at <= window.ended and event.session >= 0:
            events[event.session].append(event)
    hit = dict.fromkeys(one.session for one in hits)
    frames, presses, others = Count(), Count(), 0
    for index in range(len(reader.sent)):
        of_frames = count_frames(reader.sent[index], reader.arrived[index], window)
        of_presses = count_presses(events[index], window)
        if index in hit:
            frames, presses = frames.plus(of_frames), presses.plus(of_presses)
        else:
            others += of_frames.lost + of_presses.lost
    begun = {index: sum(event.kind == "session" for event in events[index]) for index in events}
    up_webhooks = sum(
        event.kind == "webhook" and bool(event.detail) and scenario.sessions == 0
        for of_one in events.values()
        for event in of_one
    )
    return Outcome(
        recoveries=_recoveries(hits, window, events, listening, reader),
        frames=frames,
        presses=presses,
        others_lost=others,
        stale=sum(count_stale(of_one) for of_one in events.values()),
        sessions=sum(begun.values()),
        needless=up_webhooks
        + sum(max(0, count - (scenario.sessions if index in hit else 0)) for index, count in begun.items()),
        noticed=[
            index
            for index in range(len(reader.sent))
            if index not in hit and _has_noticed(events[index], reader.arrived[index], window)
        ],
        closes=_closes(events.values()),
        late_s=_lateness(reader.sent, window),
    )


def _recoveries(
    hits: Sequence[Hit],
    window: Window,
    events: Mapping[int, Sequence[Event]],
    listening: Sequence[float],
    reader: Reader,
) -> list[Recovery]:
    found = []
    for position, hit in enumerate(hits):
        after = (one.at for one in hits[position + 1 :] if one.session == hit.session)
        until = next(after, window.ended)
        mine = [event for event in events.get(hit.session, ()) if hit.at <= event.at <= until]
        back = [at for at in listening if hit.at <= at <= until]
        found.append(recovery(hit.at, mine, reader.arrived[hit.session], back))
    return found


def recovery(at: float, events: Sequence[Event], arrived: Frames, listening: Sequence[float]) -> Recovery:
    """How one session came back after `at`.

    Args:
      events: its own since then; those of one process are in order.
      listening: when the app server was there again, where it had been killed.
    """
    phone_dial = _first_after_loss(events, "phone", ("dial",))
    app_dial = _first_after_loss(events, "app", ("dial", "session"))
    own = [dial - at for dial in (phone_dial, app_dial) if dial is not None]
    own += [start - at for start in listening]
    # A fault may need a while to do its harm: audio is back when what was sent after the last loss arrives.
    since = max([at, *(event.at for event in events if event.kind == "lost")])
    first = next((i for i in _since(arrived.at, since) if arrived.other[i] >= since), None)
    acks = [event.at for event in events if (event.who, event.kind) == ("phone", "ack")]
    has_returned = [
        event.at for event in events if event.kind in ("shown", "card") and acks and event.at >= acks[0]
    ]
    shown = has_returned or [event.at for event in events if event.kind == "shown" and _made_at(event) >= at]
    display_s = shown[0] - at if shown else math.inf
    return Recovery(
        own_s=max(own, default=0.0),
        audio_s=math.inf if first is None else arrived.at[first] - at,
        display_s=display_s,
        dial_to_display_s=None if phone_dial is None else at + display_s - phone_dial,
    )


def count_frames(sent: Frames, arrived: Frames, window: Window) -> Count:
    """Frames sent in the window."""
    first = bisect_left(sent.at, window.began)
    last = bisect_right(sent.at, window.ended - UNDER_WAY_S)
    numbers = range(sent.numbers[first], sent.numbers[first] + last - first) if last > first else range(0)
    return count(numbers, (arrived.numbers[i] for i in _since(arrived.at, window.began)))


def count_presses(events: Sequence[Event], window: Window) -> Count:
    """Presses of one session, sent in the window."""
    presses = [event for event in events if event.kind == "press"]
    numbers = [
        event.detail
        for event in presses
        if event.who == "phone" and event.at <= window.ended - UNDER_WAY_S and isinstance(event.detail, int)
    ]
    came = [event.detail for event in presses if event.who == "app" and isinstance(event.detail, int)]
    return count(numbers, came)


def count(sent: Sequence[int], came: Iterable[int]) -> Count:
    """What became of the numbers in `sent`, given what came in its order; other numbers are not judged."""
    if not sent:
        return Count()
    wanted = set(sent)
    times: Counter[int] = Counter()
    highest, disorder = -1, 0
    for number in came:
        if number in wanted:
            disorder += number < highest
            highest = max(highest, number)
            times[number] += 1
    doubled = sum(seen - 1 for seen in times.values())
    return Count(len(wanted), len(wanted) - len(times), doubled, disorder)


def count_stale(events: Sequence[Event]) -> int:
    """Displays of one session that the phone got after a newer one."""
    stale, newest = 0, 0.0
    for event in events:
        if event.kind == "shown":
            stale += _made_at(event) < newest
            newest = max(newest, _made_at(event))
    return stale


def longest_gap(arrived: Frames, began: float, ended: float) -> float:
    """The longest pause of audio at the app that lies in, or reaches into, `began` to `ended`."""
    first = max(0, bisect_left(arrived.at, began) - 1)
    last = bisect_right(arrived.at, ended)
    times = [*arrived.at[first:last], ended]
    return max((later - earlier for earlier, later in itertools.pairwise(times)), default=math.inf)


def _has_noticed(events: Sequence[Event], arrived: Frames, window: Window) -> bool:
    if any(event.kind in ("lost", "webhook", "session", "error", "gave up", "stopped") for event in events):
        return True
    gap = longest_gap(arrived, window.began, window.ended)
    return gap > window.quiet_gap_s + NOTICEABLE_S


def _first_after_loss(events: Sequence[Event], who: str, kinds: Sequence[str]) -> float | None:
    """When a peer first dialled after it had lost its socket; None where it did not."""
    lost = next((event.at for event in events if event.who == who and event.kind == "lost"), None)
    if lost is None:
        return None
    return next(
        (event.at for event in events if event.who == who and event.kind in kinds and event.at >= lost), None
    )


def _closes(events: Iterable[Sequence[Event]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for of_one in events:
        for event in of_one:
            if event.kind in ("lost", "error") and event.detail != "reset":
                counts[f"{event.who} {event.detail}"] += 1
            elif event.kind == "gave up":
                counts["app gave up"] += 1
    return dict(sorted(counts.items()))


def _lateness(sent: Sequence[Frames], window: Window) -> float:
    late: list[float] = []
    for frames in sent:
        late += frames.other[bisect_left(frames.at, window.began) : bisect_right(frames.at, window.ended)]
    return percentile(late, 99) if late else math.nan


def _made_at(event: Event) -> float:
    made_at: float = event.detail[0]  # type: ignore[index]
    return made_at


def _since(times: array[float], at: float) -> range:
    return range(bisect_left(times, at), len(times))
