"""The load of `bench overload`: that of `bench relay`, and critical displays, newcomers and returns.

Nothing is judged here. What was sent and when it came back is written down with its time, so that the bench
can cut it into before, under pressure and after; `time.perf_counter` is one clock for all processes of the
machine. An app's critical display is a forced one that answers nothing: one way, from app to phone.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

from bench._load import FRAME_PERIOD_S, HEAD, PRESS_PERIOD_S, STAMP, TAIL, Driver, Owner, Phone, begin
from bench.raw import TEXT, RawSocket, UpgradeRefusedError, frame

BUCKET_S = 0.25
VISIT_PERIOD_S = 0.5
CRITICAL_PERIOD_S = 20.0
RETURNERS = 10
"""Phones that press nothing: now and then one of them drops its socket and dials again."""


@dataclass
class Record:
    """What one run saw: times of `time.perf_counter` and delays, both in seconds; None never came."""

    presses: dict[float, float | None] = field(default_factory=dict)
    criticals: dict[float, float | None] = field(default_factory=dict)
    sent: dict[int, int] = field(default_factory=dict)  # frames by the bucket they were sent in
    received: dict[int, int] = field(default_factory=dict)  # of those, how many arrived
    ages: dict[int, float] = field(default_factory=dict)  # the largest delay of an arrived frame
    late: dict[int, float] = field(default_factory=dict)  # the driver's own lateness
    visits: list[tuple[float, str, str]] = field(default_factory=list)  # who dialled, and what came of it
    ended: list[tuple[float, str]] = field(default_factory=list)  # sockets that the server ended


@dataclass(frozen=True)
class Visitor:
    """A new wearer's phone, who only wants to know whether it is let in."""

    at: float


class PressedDriver(Driver):
    """Starts everything, then streams until it is told to stop."""

    def __init__(self, *, newcomers: list[str], **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.record = Record()
        self.newcomers = newcomers
        self.next_visit = 0.0
        self.visits = 0
        self.returning: dict[int, float] = {}  # phones that dialled again and were not acknowledged yet

    def stream(self, seconds: float) -> None:
        base = time.perf_counter() + 0.05
        schedule = sorted((self.random.random() * FRAME_PERIOD_S, phone.index) for phone in self.phones)
        order = [(phase, self.phones[index]) for phase, index in schedule]
        criticals = {}
        for phone in self.phones:
            is_returner = phone.index < RETURNERS
            phone.next_press = float("inf") if is_returner else base + self.random.random() * PRESS_PERIOD_S
            # Half a period off the presses: within 300 ms of it a display of the same app has to wait.
            criticals[phone.index] = (
                phone.next_press + PRESS_PERIOD_S / 2 + PRESS_PERIOD_S * (phone.index % 4)
            )
        cycle, position = 0, 0
        while (now := time.perf_counter()) < base + seconds:
            self._visit(now)
            for _ in range(200):  # and then read what has come, however late it is
                due = base + cycle * FRAME_PERIOD_S + order[position][0]
                now = time.perf_counter()
                if due > now:
                    break
                phone = order[position][1]
                self._stream_frame(phone, now, now - due)
                if now >= criticals[phone.index]:
                    criticals[phone.index] += CRITICAL_PERIOD_S
                    self._show_critical(phone, now)
                position += 1
                if position == len(order):
                    position, cycle = 0, cycle + 1
            self._turn(min(due - now, 0.02))
        until = time.perf_counter() + 2.0
        while time.perf_counter() < until:
            self._turn(0.05)

    def _stream_frame(self, phone: Phone, now: float, late_s: float) -> None:
        sock = phone.sock
        assert sock is not None
        bucket = int(now / BUCKET_S)
        record = self.record
        record.sent[bucket] = record.sent.get(bucket, 0) + 1
        record.late[bucket] = max(record.late.get(bucket, 0.0), late_s)
        sock.send(HEAD + STAMP.pack(now, phone.sent) + TAIL)
        phone.sent += 1
        if now >= phone.next_press:
            phone.next_press += PRESS_PERIOD_S
            record.presses[now] = None
            press = {"type": "button_press", "buttonId": repr(now), "pressType": "short"}
            sock.send(frame(TEXT, json.dumps(press).encode()))

    def _show_critical(self, phone: Phone, now: float) -> None:
        self.record.criticals[now] = None
        layout = {"layoutType": "text_wall", "text": f"! {now!r}"}
        display = {"type": "display_event", "packageName": self.package, "view": "main", "layout": layout}
        assert phone.app is not None
        phone.app.send(frame(TEXT, json.dumps({**display, "forceDisplay": True}).encode()))

    def _visit(self, now: float) -> None:
        """In turn a new wearer dials, and a phone that was here drops its socket and comes back."""
        if now < self.next_visit:
            return
        self.next_visit = now + VISIT_PERIOD_S
        self.visits += 1
        if self.visits % 2 and self.newcomers:
            self._open(f"/glasses-ws?token={self.newcomers.pop()}", Visitor(now))
            return
        phone = self.phones[self.visits // 2 % RETURNERS]
        assert phone.sock is not None
        self._forget(phone.sock)
        phone.sock = self._open(phone.target, Owner(phone, is_app=False))
        self.returning[phone.index] = now

    # -- one turn of the loop -----------------------------------------------------------------------------

    def _turn(self, timeout_s: float) -> None:
        for descriptor, _ in self.poll.poll(max(0.0, timeout_s)):
            sock = self.sockets.get(descriptor)
            if sock is not None:
                self._read(sock)
            elif descriptor == self.webhook.fileno():
                self._accept_webhooks()
            else:
                self._serve_webhook(descriptor)

    def _read(self, sock: RawSocket) -> None:
        visitor = sock.owner if isinstance(sock.owner, Visitor) else None
        try:
            for opcode, payload in sock.receive():
                if visitor is None:
                    self._message(sock, opcode, payload)
            if sock.late_bytes:
                sock.flush()
        except UpgradeRefusedError as refusal:
            self._note_refusal(sock, refusal)
        except ConnectionError as error:
            self.record.ended.append((time.perf_counter(), str(error)))
            self._forget(sock)
        else:
            if visitor is not None and sock.is_upgraded:
                self.record.visits.append((visitor.at, "new", "accepted"))
                self._forget(sock)

    def _note_refusal(self, sock: RawSocket, refusal: UpgradeRefusedError) -> None:
        if isinstance(sock.owner, Owner) and not sock.owner.phone.is_running:
            self._turn_away(sock, refusal)
            return
        answer = str(refusal)
        status = answer.split(" ", 2)[1]
        code = answer.partition('"code":"')[2].partition('"')[0]
        owner = sock.owner
        who = "new" if isinstance(owner, Visitor) else "back"
        at = owner.at if isinstance(owner, Visitor) else time.perf_counter()
        self.record.visits.append((at, who, f"{status} {code}"))
        self._forget(sock)

    def _forget(self, sock: RawSocket) -> None:
        if self.sockets.pop(sock.fileno(), None) is not None:
            self.poll.unregister(sock.fileno())
        sock.close()

    def _frame_arrived(self, phone: Phone, payload: bytes) -> None:
        sent_at, _ = STAMP.unpack_from(payload)
        bucket = int(sent_at / BUCKET_S)
        record = self.record
        record.received[bucket] = record.received.get(bucket, 0) + 1
        record.ages[bucket] = max(record.ages.get(bucket, 0.0), time.perf_counter() - sent_at)

    def _phone_heard(self, phone: Phone, payload: bytes) -> None:
        if b'"connection_ack"' in payload and phone.is_running:
            dialled_at = self.returning.pop(phone.index, None)
            if dialled_at is not None:
                self.record.visits.append((dialled_at, "back", "accepted"))
        elif phone.is_running and b'"text_wall"' in payload:
            self._shown(json.loads(payload)["layout"]["text"])
        else:
            super()._phone_heard(phone, payload)

    def _shown(self, text: str) -> None:
        kind = self.record.criticals if text.startswith("! ") else self.record.presses
        try:
            sent_at = float(text.removeprefix("! "))
        except ValueError:
            return
        if sent_at in kind and kind[sent_at] is None:
            kind[sent_at] = time.perf_counter() - sent_at


def main() -> None:
    """Talk to `bench.overload` over stdin and stdout: a line of settings in, a line of records out."""
    driver, settings = begin(PressedDriver, "newcomers")
    driver.stream(settings["stream_s"])
    record = driver.record
    print(
        json.dumps(
            {
                "presses": list(record.presses.items()),
                "criticals": list(record.criticals.items()),
                "buckets": [
                    (
                        bucket * BUCKET_S,
                        sent,
                        record.received.get(bucket, 0),
                        record.ages.get(bucket, 0.0),
                        record.late[bucket],
                    )
                    for bucket, sent in sorted(record.sent.items())
                ],
                "visits": record.visits,
                "ended": record.ended,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
