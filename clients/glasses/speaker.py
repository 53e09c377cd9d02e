"""The speaker of the simulated glasses: fetches what it is to play, takes its time, and says so."""

from __future__ import annotations

import io
import wave
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import trio

from clients.network import Connect, request
from protocols import from_phone, to_phone

FETCH_S: Final = 20.0

Send = Callable[[from_phone.PhoneMessage], Awaitable[bool]]


class Sound(msgspec.Struct):
    """Something that was to be played.

    Attributes:
      status: of the answer to fetching it; 0 while there is none, or where nobody was there.
      wav: what came.
      is_over: it was played to its end; a stop, or a sound that takes its place, cuts it off.
    """

    request_id: str
    url: str
    track_id: object
    at: float
    status: int = 0
    wav: bytes = b""
    is_over: bool = False


class Speaker:
    """Plays one sound a track.

    Args:
      now: the clock for `Sound.at`.

    Attributes:
      sounds: in the order they were asked for.
      is_deaf: nothing is fetched, played or answered.
    """

    def __init__(
        self, connect: Connect, send: Send, notify: Callable[[], None], now: Callable[[], float]
    ) -> None:
        self.sounds: list[Sound] = []
        self.is_deaf = False
        self._connect = connect
        self._send = send
        self._notify = notify
        self._now = now
        self._playing: dict[object, trio.CancelScope] = {}

    async def play(self, asked: to_phone.AudioPlayRequest) -> None:
        """Fetch it, play it, and answer; a sound that is cut off is answered as one that was played."""
        sound = Sound(asked.request_id, asked.audio_url, asked.track_id, self._now())
        self.sounds.append(sound)
        if self.is_deaf:
            return
        before = self._playing.pop(asked.track_id, None)
        if before is not None:
            before.cancel()
        with trio.CancelScope() as scope:
            self._playing[asked.track_id] = scope
            await self._play(sound)
        if self._playing.get(asked.track_id) is scope:
            del self._playing[asked.track_id]
        is_heard = sound.status == 200
        error = b"" if is_heard else msgspec.json.encode(f"the sound could not be fetched: {sound.status}")
        await self._send(
            from_phone.AudioPlayResponse(
                request_id=asked.request_id, success=is_heard, error=msgspec.Raw(error)
            )
        )
        self._notify()

    def stop(self, asked: to_phone.AudioStopRequest) -> None:
        """Cut off what plays on the track, or everything."""
        for track, scope in self._playing.items():
            if asked.track_id is None or track == asked.track_id:
                scope.cancel()

    async def _play(self, sound: Sound) -> None:
        with trio.move_on_after(FETCH_S):
            try:
                answer = await request("GET", sound.url, connect=self._connect)
            except OSError:
                return
            sound.status, sound.wav = answer.status, answer.body
        if sound.status == 200:
            self._notify()
            await trio.sleep(_duration_s(sound.wav))
            sound.is_over = True


def _duration_s(wav: bytes) -> float:
    with wave.open(io.BytesIO(wav)) as file:
        return float(file.getnframes() / file.getframerate())
