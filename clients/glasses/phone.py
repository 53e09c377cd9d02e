"""The simulated phone with its glasses: one wearer, as a phone of 2026 behaves (generation D of protocol.md
0.1).

Token in the query. A JSON ping every 5 s, and a new socket where its pong takes longer than 5 s. After any
end of the connection it dials again every 5 s, for ever, also after a refusal. Audio goes out only when the
cloud has acknowledged the connection and wants data; what the microphone hears meanwhile is lost, as it is in
life.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec
import trio

from clients.glasses.datagrams import ASK_AGAIN_S, Datagrams, OpenUdp, open_udp
from clients.glasses.lens import Lens
from clients.glasses.microphone import Microphone, MicrophoneOptions
from clients.glasses.peer import PeerProcess
from clients.glasses.speaker import Speaker
from clients.glasses.webrtc import OpenPeer, WebrtcMicrophone
from clients.network import Connect, HttpAnswer, open_stream, request
from clients.socket import DisconnectedError, RefusedError, Socket, hold
from protocols import MalformedMessage, Unknown, from_phone, paths, timestamps, to_phone
from protocols.user_session import UserSession

BYTES_PER_MS: Final = 32  # PCM s16le mono at 16 kHz
RECEIVED: Final = 10_000

T = TypeVar("T")


class PhoneTimers(msgspec.Struct, frozen=True, kw_only=True):
    """The phone's habits, in seconds (protocol.md 4.1).

    Attributes:
      ping_s: between two JSON pings.
      pong_s: how long a pong may take.
      reconnect_s: from the end of a connection, or a failed dial, to the next dial.
      close_s: how long it waits for the old socket to close.
      handshake_s: how long a dial may take.
    """

    ping_s: float = 5.0
    pong_s: float = 5.0
    reconnect_s: float = 5.0
    close_s: float = 0.5
    handshake_s: float = 10.0


class Received(msgspec.Struct, frozen=True):
    """A message of the cloud, and when it came."""

    at: float
    message: to_phone.MessageToPhone | Unknown


class Frame(msgspec.Struct, frozen=True):
    """One frame of the microphone: where in what was played, when it was due, whether it was sent."""

    offset_bytes: int
    size_bytes: int
    at: float
    was_sent: bool


class Glasses:
    """A phone and its glasses.

    Args:
      url: the cloud, for instance http://127.0.0.1:8002.
      token: the user's core token.
      timers: the phone's habits.
      microphone: whose it is and what the cloud gets of it.
      connect: the way to the cloud.
      open_udp: the way for datagrams.
      open_peer: makes its peers for WebRTC; where it is not given, in a process of its own that `run` keeps.
      now: the clock for what is shown and received; give `time.monotonic` to compare with another process.
      wall: epoch seconds, for the timestamps in messages.

    Attributes:
      lens: what the wearer sees.
      speaker: what the wearer hears.
      received: every message of the cloud in order, the oldest beyond 10,000 forgotten.
      ack: of the present connection; None while there is none.
      user_session: what runs, as the cloud said last.
      microphone: what the cloud wants of the microphone, as it said last.
      refusal: how the last dial was refused (a bad token, for instance); None after one that was not.
      last_end: how the last connection ended.
      configured: the status that the cloud answered when it was told of LC3, of the present connection; None
        before that, and for PCM, of which nothing needs to be said.
      connections, pong_timeouts, malformed: how often.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timers: PhoneTimers | None = None,
        microphone: MicrophoneOptions | None = None,
        connect: Connect = open_stream,
        open_udp: OpenUdp = open_udp,
        open_peer: OpenPeer | None = None,
        now: Callable[[], float] = trio.current_time,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.lens = Lens()
        self.received: deque[Received] = deque(maxlen=RECEIVED)
        self.ack: to_phone.ConnectionAck | None = None
        self.user_session: UserSession | None = None
        self.microphone: to_phone.MicrophoneStateChange | None = None
        self.refusal: RefusedError | None = None
        self.last_end: DisconnectedError | OSError | None = None
        self.configured: int | None = None
        self.connections = 0
        self.pong_timeouts = 0
        self.malformed = 0
        self._url = url.rstrip("/")
        self._token = token
        self._timers = timers or PhoneTimers()
        self._connect = connect
        self._open_udp = open_udp
        self._datagrams: Datagrams | None = None
        self._open_peer = open_peer
        self._webrtc: WebrtcMicrophone | None = None
        self._now = now
        self._wall = wall
        self._options = microphone or MicrophoneOptions()
        self._microphone = Microphone(self._options)
        self._socket: Socket | None = None
        self.speaker = Speaker(connect, self.send, self._notify, now)
        self._pong = trio.Event()
        self._changed = trio.Event()

    # What the phone knows

    @property
    def is_connected(self) -> bool:
        """Whether the cloud has acknowledged the present connection."""
        return self.ack is not None

    @property
    def is_microphone_on(self) -> bool:
        """Whether audio would be sent now."""
        return self.is_connected and self.microphone is not None and bool(self.microphone.required_data)

    @property
    def running_apps(self) -> tuple[str, ...]:
        """The apps that run, as the cloud said last."""
        return () if self.user_session is None else self.user_session.active_app_sessions

    @property
    def is_on_udp(self) -> bool:
        """Whether audio would go over UDP now."""
        return self._datagrams is not None and self._datagrams.is_answered

    @property
    def webrtc(self) -> WebrtcMicrophone | None:
        """What the present connection does about WebRTC; None where nothing."""
        return self._webrtc

    @property
    def is_on_webrtc(self) -> bool:
        """Whether audio would go over WebRTC now."""
        return self._webrtc is not None and self._webrtc.is_connected

    async def wait_for(self, predicate: Callable[[Glasses], T], *, timeout_s: float = 5.0) -> T:
        """The first value of `predicate(self)` that is true; it is asked again at every change.

        Raises:
          TimeoutError: none within `timeout_s`; says what the phone knew then.
        """
        with trio.move_on_after(timeout_s):
            while not (value := predicate(self)):
                await self._changed.wait()
            return value
        known = f"connected={self.is_connected}, apps={self.running_apps}, lens={self.lens.text!r}"
        raise TimeoutError(
            f"not within {timeout_s:g} s: {known}, end={self.last_end}, refusal={self.refusal}"
        )

    # The connection

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be switched on: connect, and keep connected until cancelled."""
        task_status.started()
        async with trio.open_nursery() as nursery:
            if self._options.audio == "webrtc" and self._open_peer is None:
                process = PeerProcess()
                self._open_peer = process.open
                nursery.start_soon(process.run)
            while True:
                await self._live_connected()
                await trio.sleep(self._timers.reconnect_s)

    async def drop(self) -> None:
        """Lose the connection without a word, as in a tunnel; the phone dials again after its 5 s."""
        if self._socket is not None:
            await self._socket.vanish()

    async def send(self, message: from_phone.PhoneMessage) -> bool:
        """Send any message of `protocols.from_phone`; False when there is no connection, and it is lost."""
        if self._socket is None:
            return False
        if message.timestamp is None and not isinstance(message, from_phone.Ping):
            message = msgspec.structs.replace(message, timestamp=timestamps.epoch_ms(self._wall()))
        return await self._send(self._socket, from_phone.encode(message).decode())

    # What the wearer does

    async def start_app(self, package_name: str) -> bool:
        """Ask for an app over the WebSocket."""
        return await self.send(from_phone.StartApp(package_name=package_name))

    async def stop_app(self, package_name: str) -> bool:
        """End an app over the WebSocket."""
        return await self.send(from_phone.StopApp(package_name=package_name))

    async def rest_start_app(self, package_name: str) -> HttpAnswer:
        """Ask for an app over REST, as newer phones do."""
        return await self.rest("POST", f"/apps/{quote(package_name)}/start")

    async def rest_stop_app(self, package_name: str) -> HttpAnswer:
        """End an app over REST."""
        return await self.rest("POST", f"/apps/{quote(package_name)}/stop")

    async def rest(self, method: str, path: str, body: bytes = b"", *, timeout_s: float = 10.0) -> HttpAnswer:
        """One REST call with the user's token.

        Raises:
          OSError: nobody is there, or no answer within `timeout_s` (TimeoutError).
        """
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        with trio.move_on_after(timeout_s):
            return await request(
                method, f"{self._url}{path}", connect=self._connect, headers=headers, body=body
            )
        raise TimeoutError(f"{method} {path}: no answer within {timeout_s:g} s")

    async def press_button(self, button_id: str = "main", press_type: str = "short") -> bool:
        """Press a button: short or long."""
        return await self.send(from_phone.ButtonPress(button_id=button_id, press_type=press_type))

    async def move_head(self, position: str) -> bool:
        """Look up or down."""
        return await self.send(from_phone.HeadPosition(position=position))

    async def touch(self, gesture_name: str) -> bool:
        """Touch the temple."""
        return await self.send(from_phone.TouchEvent(gesture_name=gesture_name))

    async def detect_voice(self, is_speaking: bool) -> bool:
        """What the phone's voice detector says."""
        return await self.send(from_phone.Vad(status=is_speaking))

    async def report_battery(self, level: float, *, is_charging: bool = False) -> bool:
        """How full the glasses' battery is, in percent."""
        return await self.send(from_phone.GlassesBatteryUpdate(level=level, charging=is_charging))

    async def report_glasses(self, status: str = "CONNECTED", model_name: str = "Even Realities G1") -> bool:
        """The glasses came (CONNECTED) or went (DISCONNECTED)."""
        return await self.send(from_phone.GlassesConnectionState(status=status, model_name=model_name))

    async def play(
        self,
        pcm: bytes,
        *,
        chunk_ms: int = 100,
        realtime: bool = True,
        on_frame: Callable[[Frame], None] | None = None,
    ) -> int:
        """Let the microphone hear `pcm`, 16 bits little-endian, mono, 16 kHz; how many frames were sent.

        Args:
          chunk_ms: length of a frame; the last may be shorter.
          realtime: each frame goes out when its last sample has been spoken; else as fast as the socket takes
            them.
          on_frame: told of each frame, sent or not. One that waits in the detector's ring is not sent yet.
        """
        size = chunk_ms * BYTES_PER_MS
        began = trio.current_time()
        sent = 0
        for offset in range(0, len(pcm), size):
            frame = pcm[offset : offset + size]
            if realtime:
                await trio.sleep_until(began + (offset + len(frame)) / BYTES_PER_MS / 1000)
            at = self._now()
            was_sent = self.is_microphone_on and await self._send_heard(frame)
            sent += was_sent
            if on_frame is not None:
                on_frame(Frame(offset, len(frame), at, was_sent))
        return sent

    async def _live_connected(self) -> None:
        url = f"{self._url.replace('http', 'ws', 1)}{paths.GLASSES}?token={quote(self._token)}"
        if self._options.audio == "udp" and self._options.is_encrypted:
            url += "&udpEncryption=true"
        dial = functools.partial(
            hold,
            url,
            connect=self._connect,
            handshake_s=self._timers.handshake_s,
            close_s=self._timers.close_s,
        )
        async with trio.open_nursery() as nursery:
            try:
                self._socket = await nursery.start(dial)
                self.refusal = None
                self.connections += 1
                nursery.start_soon(self._keep_alive, self._socket)
                while True:
                    was_connected = self.is_connected
                    sound = self._take(await self._socket.receive())
                    if sound is not None:
                        nursery.start_soon(self.speaker.play, sound)
                    if self.ack is not None and not was_connected:
                        self._begin_audio(nursery, self.ack)
                    self._notify()
            except RefusedError as error:
                self.refusal = error
            except (OSError, DisconnectedError) as error:
                self.last_end = error
            finally:
                self._socket = self.ack = self.configured = self._datagrams = self._webrtc = None
                self._notify()
            nursery.cancel_scope.cancel()

    async def _keep_alive(self, socket: Socket) -> None:
        ping = from_phone.encode(from_phone.Ping()).decode()
        while True:
            due = trio.current_time() + self._timers.ping_s
            self._pong = trio.Event()
            with trio.move_on_after(self._timers.pong_s) as waiting:
                if not await self._send(socket, ping):
                    return
                await self._pong.wait()
            if waiting.cancelled_caught:
                self.pong_timeouts += 1
                await socket.close(timeout_s=self._timers.close_s)
                return
            await trio.sleep_until(due)

    def _take(self, payload: str | bytes) -> to_phone.AudioPlayRequest | None:
        """Learn what the cloud says; what is to be played comes back."""
        if isinstance(payload, bytes):
            self.malformed += 1  # phones take every frame for JSON text
            return None
        try:
            message = to_phone.decode(payload.encode())
            if isinstance(message, to_phone.DisplayEvent):
                self.lens.show(message, self._now())
        except MalformedMessage:
            self.malformed += 1
            return None
        self.received.append(Received(self._now(), message))
        if isinstance(message, to_phone.Pong):
            self._pong.set()
        elif isinstance(message, to_phone.UdpPingAck):
            if self._datagrams is not None:
                self._datagrams.answered()
        elif isinstance(message, to_phone.ConnectionAck):
            self.ack = message
            self.user_session = message.user_session
        elif isinstance(message, to_phone.AppStateChange):
            self.user_session = message.user_session
        elif isinstance(message, to_phone.MicrophoneStateChange):
            self.microphone = message
        elif isinstance(message, to_phone.AudioPlayRequest):
            return message
        elif isinstance(message, to_phone.AudioStopRequest):
            self.speaker.stop(message)
        elif self._webrtc is not None and not isinstance(message, Unknown):
            self._webrtc.take(message)
        return None

    async def _send_heard(self, pcm: bytes) -> bool:
        """Let the microphone hear a chunk, and send what follows from it; False when nothing was sent."""
        heard = self._microphone.hear(pcm)
        if heard.is_speaking is not None:
            await self.detect_voice(heard.is_speaking)
        was_sent = False
        for audio in heard.audio:
            datagrams = self._datagrams
            if self._webrtc is not None and self._webrtc.is_connected:
                self._webrtc.speak(audio)
                was_sent = True
            elif datagrams is not None and datagrams.is_answered:
                await datagrams.send(audio, self._options.frame_bytes)
                was_sent = True
            else:
                was_sent = await self._send_frame(audio)
        return was_sent

    def _begin_audio(self, nursery: trio.Nursery, ack: to_phone.ConnectionAck) -> None:
        if self._options.is_lc3:
            nursery.start_soon(self._configure)
        if self._options.audio == "webrtc" and self._open_peer is not None:
            self._webrtc = WebrtcMicrophone(
                self._open_peer, self.send, self._notify, codec=self._options.codec
            )
            nursery.start_soon(self._webrtc.run)
        if self._options.audio == "udp" and ack.udp_host is not None and ack.udp_port is not None:
            nursery.start_soon(self._use_udp, ack, ack.udp_host, ack.udp_port)

    async def _use_udp(self, ack: to_phone.ConnectionAck, host: str, port: int) -> None:
        """Register, and ask again and again whether datagrams get through, until the connection ends."""
        try:
            socket = await self._open_udp(host, port)
        except OSError as error:
            self.last_end = error
            return
        try:
            datagrams = self._datagrams = Datagrams(ack, socket)
            await self.send(from_phone.UdpRegister(user_id_hash=datagrams.user_hash))
            while True:
                await datagrams.probe()
                self._notify()
                await trio.sleep(ASK_AGAIN_S)
        finally:
            socket.close()

    async def _send_frame(self, frame: bytes) -> bool:
        return self._socket is not None and await self._send(self._socket, frame)

    async def _configure(self) -> None:
        """Say what the microphone sends. It is sent whatever the answer is, as phones do."""
        body = msgspec.json.encode(self._options.format)
        try:
            self.configured = (await self.rest("POST", "/api/client/audio/configure", body)).status
        except OSError as error:
            self.last_end = error
        self._notify()

    async def _send(self, socket: Socket, message: str | bytes) -> bool:
        try:
            await socket.send(message)
        except DisconnectedError:
            return False
        return True

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
