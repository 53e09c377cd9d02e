"""The app server: webhooks over HTTP and a socket per app session, with the rules of `@mentra/sdk` 2.1.29.

A webhook is answered when its session is acknowledged or has failed; for a session that it has, it lets the
old one go and begins anew. A socket that ends is dialled again after 1, 2 and 4 s, except after 1000, 1001
and 1008 (protocol.md 3.5); an ack resets the count. After each ack the SDK's own empty list of subscriptions
goes out, then the app's, and the app shows something. One process serves two apps: one hears audio and
presses and answers each press with a display, the other is there to be started and stopped.

Events (`records`), of the first app only, but `listening`: listening, webhook (whether a socket was up),
session (`onSession` ran), dial, ack, lost (why), press (number), gave up, stopped, error (its code).
"""

from __future__ import annotations

import functools
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench.raw import BINARY, TEXT, frame

from .loop import Loop, Peer, commands, read_settings
from .phones import STAMP
from .records import Log

SUBSCRIPTIONS: Final = ["audio_chunk", "button_press"]
RETRIES_S: Final = (1.0, 2.0, 4.0)
ACK_S: Final = 5.0
FINAL: Final = ("1000", "1001", "1008")
_NOTHING = -1


class Session:
    """One session of one app, as the SDK keeps it."""

    def __init__(self, server: AppServer, index: int, session_id: str, package: str) -> None:
        self.index = index
        self.is_over = False
        self._server = server
        self._log = server.loop.log
        self._loop = server.loop
        self._session_id = session_id
        self._package = package
        self._is_heard = package == server.package
        self._peer: Peer | None = None
        self._has_begun = self._is_acked = False
        self._failures = 0
        self._dials = 0
        self.answers: list[Callable[[int], None]] = []

    @property
    def is_up(self) -> bool:
        return self._is_acked

    def dial(self) -> None:
        if self.is_over:
            return
        self._dials += 1
        self._event("dial")
        port = self._server.ports.get(str(self.index), self._server.port)
        self._peer = Peer(self._loop, ("127.0.0.1", port), "/app-ws", heard=self._heard, ended=self._ended)
        self._send(type="tpa_connection_init", sessionId=self._session_id, apiKey=self._server.api_key)
        self._loop.after(ACK_S, functools.partial(self._ack_overdue, self._dials))

    def reset(self) -> None:
        """The network resets the socket; the SDK sees 1006."""
        self._lose("1006", with_reset=True)

    def release(self) -> None:
        """A newer webhook takes over."""
        if self._is_acked:
            self._send(type="ownership_release", sessionId=self._session_id, reason="switching_clouds")
        self.end()

    def end(self) -> None:
        self.is_over, self._is_acked = True, False
        if self._peer is not None:
            self._peer.drop(with_reset=False)
        self._answer(500)

    def _ended(self, why: str) -> None:
        self._lose(why, with_reset=False)

    def _lose(self, why: str, *, with_reset: bool) -> None:
        if self.is_over:
            return
        had_ack, self._is_acked = self._is_acked, False
        self._dials += 1  # its ack is not awaited any more
        if self._peer is not None:
            self._peer.drop(with_reset=with_reset)
        self._event("lost", why)
        self._failures = 1 if had_ack else self._failures + 1
        if why in FINAL or self._failures > len(RETRIES_S):
            if why not in FINAL:
                self._event("gave up")
            self.end()
            self._server.forget(self)
        else:
            self._loop.after(RETRIES_S[self._failures - 1], self.dial)

    def _ack_overdue(self, dials: int) -> None:
        if dials == self._dials and not self._is_acked and not self.is_over:
            self._lose("no ack", with_reset=False)

    def _heard(self, opcode: int, payload: bytes) -> None:
        now = time.perf_counter()
        if opcode == BINARY:
            if self._is_heard:
                sent_at, number = STAMP.unpack_from(payload)
                self._log.frame(self.index, number, now, sent_at)
            return
        message = json.loads(payload)
        kind = message.get("type")
        if kind == "data_stream" and message.get("streamType") == "button_press":
            number = int(message["data"]["buttonId"])
            self._event("press", number)
            self._show(number)
        elif kind == "tpa_connection_ack":
            self._acked()
        elif kind is not None and "error" in kind:
            self._event("error", message.get("code"))

    def _acked(self) -> None:
        self._is_acked = True
        self._event("ack")
        if not self._has_begun:
            self._has_begun = True
            self._event("session")
        self._send(type="subscription_update", sessionId=self._session_id, subscriptions=[])
        if self._is_heard:
            self._send(type="subscription_update", sessionId=self._session_id, subscriptions=SUBSCRIPTIONS)
            self._show(_NOTHING)
        self._answer(200)

    def _show(self, press: int) -> None:
        text = f"shown {time.perf_counter()!r} {press}"
        layout = {"layoutType": "text_wall", "text": text}
        self._send(type="display_event", sessionId=self._session_id, view="main", layout=layout)

    def _send(self, **message: object) -> None:
        if self._peer is not None:
            self._peer.send(frame(TEXT, json.dumps({"packageName": self._package, **message}).encode()))

    def _answer(self, status: int) -> None:
        answers, self.answers = self.answers, []
        for answer in answers:
            answer(status)

    def _event(self, kind: str, detail: object = None) -> None:
        if self._is_heard:
            self._log.event(time.perf_counter(), kind, self.index, detail)


class AppServer:
    """Answers webhooks on `settings["listen"]`."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.loop = Loop(Log(Path(settings["folder"]), "app"))
        self.port: int = settings["port"]
        self.ports: dict[str, int] = settings["ports"]
        self.package: str = settings["package"]
        self.api_key: str = settings["api_key"]
        self._packages: list[str] = settings["packages"]
        self._users = {user: index for index, user in enumerate(settings["users"])}
        self._sessions: dict[str, Session] = {}
        self._listening = socket.create_server(("127.0.0.1", settings["listen"]), backlog=4096)
        self._listening.setblocking(False)
        self.loop.register(self._listening.fileno(), self._accept)
        self.loop.log.event(time.perf_counter(), "listening")

    def obey(self, command: dict[str, Any]) -> None:
        """`{"do": "reset", "who": [...]}`: their sockets are reset."""
        who = set(command["who"])
        for session in list(self._sessions.values()):
            if session.index in who:
                session.reset()

    def forget(self, session: Session) -> None:
        self._sessions = {key: other for key, other in self._sessions.items() if other is not session}

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            self.loop.register(sock.fileno(), functools.partial(self._serve, sock, bytearray()))

    def _serve(self, sock: socket.socket, buffer: bytearray) -> None:
        try:
            data = sock.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.loop.forget(sock.fileno())
            sock.close()
            return
        buffer += data
        while (request := _take_request(buffer)) is not None:
            path, body = request
            answer = functools.partial(_answer, sock)
            if path.endswith("/webhook"):
                self._webhook(json.loads(body), answer)
            else:
                answer(200)

    def _webhook(self, request: dict[str, str], answer: Callable[[int], None]) -> None:
        session_id = request["sessionId"]
        known = self._sessions.pop(session_id, None)
        if request["type"] != "session_request":
            if known is not None:
                known._event("stopped")
                known.end()
            answer(200)
            return
        package = next(name for name in self._packages if session_id.endswith(f"-{name}"))
        session = Session(self, self._users[request["userId"]], session_id, package)
        session._event("webhook", known is not None and known.is_up)
        if known is not None:
            known.release()
        self._sessions[session_id] = session
        session.answers.append(answer)
        session.dial()


def _take_request(buffer: bytearray) -> tuple[str, bytes] | None:
    """The path and body of the first whole request, taken off `buffer`."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    lines = bytes(buffer[:end]).decode("latin-1").split("\r\n")
    lengths = [line.partition(":")[2] for line in lines if line.lower().startswith("content-length:")]
    whole = end + 4 + int(lengths[0] if lengths else 0)
    if len(buffer) < whole:
        return None
    body = bytes(buffer[end + 4 : whole])
    del buffer[:whole]
    return lines[0].split(" ")[1], body


def _answer(sock: socket.socket, status: int) -> None:
    body = b'{"status":"success"}' if status == 200 else b'{"status":"error"}'
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    try:
        sock.send(head.encode() + body)
    except OSError:  # nobody waits for it any more
        return


def main() -> None:
    """A line of settings on standard input, then commands."""
    server = AppServer(read_settings())
    commands(server.loop, server.obey)
    while True:
        server.loop.turn(0.5)


if __name__ == "__main__":
    main()
