"""The load of `bench relay`: N phones and N app sockets of one app, driven from one process and one epoll.

Each phone streams 3,200-byte frames ten times a second at a random phase, stamped with the time they were
sent; the app's sockets read the stamp back. Every five seconds a phone presses a button and the app answers
with a display; the press's own time travels in `buttonId` and comes back in the display's text. The driver
measures its own lateness (how long after its due time a frame went out), so that it is not what gets
measured.
"""

from __future__ import annotations

import json
import random
import select
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bench.raw import BINARY, TEXT, RawSocket, UpgradeRefusedError, frame

FRAME_BYTES = 3_200
FRAME_PERIOD_S = 0.1
PRESS_PERIOD_S = 5.0
SUBSCRIPTIONS = ["audio_chunk", "button_press"]
START_WINDOW = 100  # phones whose start is under way at once, as a crowd coming in would be

HEAD = frame(BINARY, b"\0" * FRAME_BYTES)[:8]
TAIL = b"\0" * (FRAME_BYTES - 16)
STAMP = struct.Struct("<dQ")


@dataclass
class Phone:
    """One simulated phone and what its app's socket has seen."""

    index: int
    user: str
    target: str
    sock: RawSocket | None = None
    app: RawSocket | None = None
    is_running: bool = False
    dialled_at: float = 0.0
    acked_at: float = 0.0
    sent: int = 0
    received: int = 0
    next_press: float = 0.0
    pressed: set[str] = field(default_factory=set)  # presses whose display has not come yet


@dataclass(frozen=True)
class Owner:
    """Whose socket one is: the phone's own, or its app's."""

    phone: Phone
    is_app: bool


@dataclass
class Result:
    """What one run saw; times in seconds."""

    frame_delays: list[float] = field(default_factory=list)
    press_delays: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    ack_delays: list[float] = field(default_factory=list)
    start_s: float = 0.0
    presses: int = 0
    presses_shown: int = 0
    frames_sent: int = 0
    frames_received: int = 0
    out_of_order: int = 0
    blocked: int = 0


class Driver:
    """Starts everything, then keeps the load up for the measured time."""

    subscriptions = SUBSCRIPTIONS

    def __init__(
        self, *, address: tuple[str, int], tokens: dict[str, str], package: str, api_key: str, seed: int
    ) -> None:
        self.address = address
        self.package = package
        self.api_key = api_key
        self.random = random.Random(seed)
        self.phones = [
            Phone(index, user, f"/glasses-ws?token={token}")
            for index, (user, token) in enumerate(tokens.items())
        ]
        self.by_user = {phone.user: phone for phone in self.phones}
        self.poll = select.epoll()
        self.sockets: dict[int, RawSocket] = {}
        self.result = Result()
        self.is_measuring = False
        self.webhook = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.webhook.setblocking(False)
        self.poll.register(self.webhook.fileno(), select.EPOLLIN)
        self.webhook_peers: dict[int, tuple[socket.socket, bytearray]] = {}
        self.turned_away: list[tuple[float, Phone]] = []

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self.webhook.getsockname()[1]}"

    # -- start --------------------------------------------------------------------------------------------

    def start_all(self, timeout_s: float) -> None:
        """Dial every phone and start the app for each, at most START_WINDOW under way at once."""
        began = time.perf_counter()
        waiting = list(self.phones)
        started: list[Phone] = []
        while not all(phone.is_running for phone in self.phones):
            under_way = sum(not phone.is_running for phone in started)
            self._dial_again(time.perf_counter())
            while waiting and under_way < START_WINDOW:
                phone = waiting.pop(0)
                phone.dialled_at = time.perf_counter()
                phone.sock = self._open(phone.target, Owner(phone, is_app=False))
                started.append(phone)
                under_way += 1
            self._turn(0.05)
            if time.perf_counter() - began > timeout_s:
                missing = sum(not phone.is_running for phone in self.phones)
                raise TimeoutError(f"{missing} of {len(self.phones)} apps did not start in {timeout_s} s")
        self.result.start_s = time.perf_counter() - began
        self.result.ack_delays = [phone.acked_at - phone.dialled_at for phone in self.phones]

    def _dial_again(self, now: float) -> None:
        """Phones that an overloaded server has turned away come back as they were asked to."""
        due = [phone for at, phone in self.turned_away if at <= now]
        self.turned_away = [(at, phone) for at, phone in self.turned_away if at > now]
        for phone in due:
            phone.sock = self._open(phone.target, Owner(phone, is_app=False))

    def _turn_away(self, sock: RawSocket, refusal: UpgradeRefusedError) -> None:
        owner = sock.owner
        assert isinstance(owner, Owner)
        if not refusal.retry_after_s:
            raise refusal
        self.turned_away.append((time.perf_counter() + refusal.retry_after_s, owner.phone))
        self.poll.unregister(sock.fileno())
        del self.sockets[sock.fileno()]
        sock.close()

    def _open(self, target: str, owner: object) -> RawSocket:
        sock = RawSocket(self.address, target, owner)
        self.sockets[sock.fileno()] = sock
        self.poll.register(sock.fileno(), select.EPOLLIN)
        return sock

    # -- load ---------------------------------------------------------------------------------------------

    def run(self, *, warm_up_s: float, measure_s: float) -> None:
        """Stream for the warm-up, then measure."""
        base = time.perf_counter() + 0.05
        schedule = sorted((self.random.random() * FRAME_PERIOD_S, phone.index) for phone in self.phones)
        order = [(phase, self.phones[index]) for phase, index in schedule]
        for phone in self.phones:
            phone.next_press = base + self.random.random() * PRESS_PERIOD_S
        measure_from = base + warm_up_s
        until = measure_from + measure_s
        cycle, position = 0, 0
        while True:
            now = time.perf_counter()
            if now >= until:
                break
            if not self.is_measuring and now >= measure_from:
                self.is_measuring = True
                print("measuring", flush=True)
            while True:
                due = base + cycle * FRAME_PERIOD_S + order[position][0]
                now = time.perf_counter()
                if due > now:
                    break
                self._send_frame(order[position][1], now, now - due)
                position += 1
                if position == len(order):
                    position, cycle = 0, cycle + 1
            self._turn(min(due - now, 0.02))
        self.is_measuring = False
        print("measured", flush=True)
        # What is still on its way belongs to the run: wait for it, bounded.
        deadline = time.perf_counter() + 2.0
        while time.perf_counter() < deadline and any(
            phone.received < phone.sent or phone.pressed for phone in self.phones
        ):
            self._turn(0.05)
        self.result.frames_sent = sum(phone.sent for phone in self.phones)
        self.result.frames_received = sum(phone.received for phone in self.phones)

    def _send_frame(self, phone: Phone, now: float, late_s: float) -> None:
        sock = phone.sock
        assert sock is not None
        if self.is_measuring:
            self.result.lateness.append(late_s)
        if sock.late_bytes:
            self.result.blocked += 1
        sock.send(self._frame_of(phone, now))
        phone.sent += 1
        self._press(phone, now)

    def _frame_of(self, phone: Phone, now: float) -> bytes:
        return HEAD + STAMP.pack(now, phone.sent) + TAIL

    def _press(self, phone: Phone, now: float) -> None:
        sock = phone.sock
        assert sock is not None
        if now >= phone.next_press:
            phone.next_press += PRESS_PERIOD_S
            self.result.presses += 1
            phone.pressed.add(repr(now))
            press = {"type": "button_press", "buttonId": repr(now), "pressType": "short"}
            sock.send(frame(TEXT, json.dumps(press).encode()))

    # -- one turn of the loop -----------------------------------------------------------------------------

    def _turn(self, timeout_s: float) -> None:
        for descriptor, _ in self.poll.poll(max(0.0, timeout_s)):
            sock = self.sockets.get(descriptor)
            if sock is not None:
                try:
                    for opcode, payload in sock.receive():
                        self._message(sock, opcode, payload)
                except UpgradeRefusedError as refusal:
                    self._turn_away(sock, refusal)
                    continue
                if sock.late_bytes:
                    sock.flush()
            elif descriptor == self.webhook.fileno():
                self._accept_webhooks()
            else:
                self._serve_webhook(descriptor)

    def _message(self, sock: RawSocket, opcode: int, payload: bytes) -> None:
        owner = sock.owner
        assert isinstance(owner, Owner)
        if opcode == BINARY:
            self._frame_arrived(owner.phone, payload)
        elif owner.is_app:
            self._app_heard(owner.phone, payload)
        else:
            self._phone_heard(owner.phone, payload)

    def _frame_arrived(self, phone: Phone, payload: bytes) -> None:
        sent_at, number = STAMP.unpack_from(payload)
        if number != phone.received:
            self.result.out_of_order += 1
        phone.received += 1
        if self.is_measuring:
            self.result.frame_delays.append(time.perf_counter() - sent_at)

    def _app_heard(self, phone: Phone, payload: bytes) -> None:
        app = phone.app
        assert app is not None
        if b'"tpa_connection_ack"' in payload:
            update = {
                "type": "subscription_update",
                "packageName": self.package,
                "subscriptions": self.subscriptions,
            }
            app.send(frame(TEXT, json.dumps(update).encode()))
            phone.is_running = True
        elif b'"button_press"' in payload:
            pressed_at = json.loads(payload)["data"]["buttonId"]
            display = {
                "type": "display_event",
                "packageName": self.package,
                "sessionId": "",
                "view": "main",
                "layout": {"layoutType": "text_wall", "text": pressed_at},
            }
            app.send(frame(TEXT, json.dumps(display).encode()))

    def _phone_heard(self, phone: Phone, payload: bytes) -> None:
        sock = phone.sock
        assert sock is not None
        if b'"connection_ack"' in payload:
            phone.acked_at = time.perf_counter()
            start = {"type": "start_app", "packageName": self.package}
            sock.send(frame(TEXT, json.dumps(start).encode()))
        elif b'"text_wall"' in payload:
            text = json.loads(payload)["layout"]["text"]
            if text in phone.pressed:
                phone.pressed.remove(text)
                self.result.presses_shown += 1
                if self.is_measuring:
                    self.result.press_delays.append(time.perf_counter() - float(text))

    # -- the app server's webhook -------------------------------------------------------------------------

    def _accept_webhooks(self) -> None:
        while True:
            try:
                peer, _ = self.webhook.accept()
            except BlockingIOError:
                return
            peer.setblocking(False)
            self.webhook_peers[peer.fileno()] = (peer, bytearray())
            self.poll.register(peer.fileno(), select.EPOLLIN)

    def _serve_webhook(self, descriptor: int) -> None:
        peer, buffer = self.webhook_peers[descriptor]
        try:
            data = peer.recv(65_536)
        except (BlockingIOError, ConnectionResetError):
            data = b""
        if not data:
            self.poll.unregister(descriptor)
            peer.close()
            del self.webhook_peers[descriptor]
            return
        buffer += data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(buffer[:end]).decode("latin-1").lower()
            length = next(
                (int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length")),
                0,
            )
            if len(buffer) < end + 4 + length:
                return
            body = bytes(buffer[end + 4 : end + 4 + length])
            del buffer[: end + 4 + length]
            peer.send(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n"
                b'{"status":"success"}'
            )
            if body:
                self._webhook_arrived(json.loads(body))

    def _webhook_arrived(self, request: dict[str, str]) -> None:
        if request["type"] != "session_request":
            return
        phone = self.by_user[request["userId"]]
        phone.app = self._open("/app-ws", Owner(phone, is_app=True))
        init = {
            "type": "tpa_connection_init",
            "sessionId": request["sessionId"],
            "packageName": self.package,
            "apiKey": self.api_key,
        }
        phone.app.send(frame(TEXT, json.dumps(init).encode()))


D = TypeVar("D", bound=Driver)


def begin(kind: type[D], *more: str) -> tuple[D, dict[str, Any]]:
    """What `bench.stand` expects of a driver: settings in, its webhook's URL out, told to go, started.

    Args:
      more: settings that `kind` takes beside those of every driver.
    """
    settings = json.loads(sys.stdin.readline())
    names = ("tokens", "package", "api_key", "seed", *more)
    driver = kind(address=("127.0.0.1", settings["port"]), **{name: settings[name] for name in names})
    print(json.dumps({"webhook_url": driver.webhook_url}), flush=True)
    sys.stdin.readline()  # the app is registered
    driver.start_all(settings["start_timeout_s"])
    print("started", flush=True)
    return driver, settings


def main() -> None:
    """Talk to `bench.relay` over stdin and stdout: a line of settings in, marks and a line of results out."""
    driver, settings = begin(Driver)
    driver.run(warm_up_s=settings["warm_up_s"], measure_s=settings["measure_s"])
    print(json.dumps(driver.result.__dict__), flush=True)
    sys.stdin.readline()  # kept open until memory has been read


if __name__ == "__main__":
    main()
