"""An app session and what it tells its app: refusals, mistakes, what was dropped and why.

Nothing here closes a socket, and nothing that was dropped goes without a word (protocol.md 13.13).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from protocols import streams, to_app
from protocols.envelope import Message
from protocols.error_codes import ErrorCode

from ..display.size import text_too_long
from ..ports import Connection, Outgoing, Telemetry
from . import complaints
from .messages import AppFlooded, AudioTick, ComplaintsTick
from .server import ServerSide

AUDIO_LOOK_S: Final = 1.0
"""How late an app hears at most that audio was dropped. Its liveness looks too, once in ten seconds; the
sessions do so at different moments, so an overload is not told to a thousand apps at once."""

_AUDIO = (streams.AUDIO_CHUNK, streams.TRANSCRIPTION, streams.TRANSLATION)


class Explaining(ServerSide):
    """What an app session says to its app when something is refused, held back or lost."""

    telemetry: Telemetry

    def _note_error(self, kind: str) -> None:
        errors = self.state.errors
        self.state = msgspec.structs.replace(self.state, errors={**errors, kind: errors.get(kind, 0) + 1})

    def _say(self, connection: Connection, message: Message) -> None:
        self.perform(connection.send, Outgoing(to_app.encode(message)))

    def _line_too_large(self, content: str, modes: Sequence[str] = ()) -> str | None:
        limits = self.domain.settings.limits
        if len(content) > limits.display_text:
            return text_too_long(len(content), limits)
        return f"{len(modes)} modes are too many" if len(modes) > limits.display_elements else None

    def _fits(self, connection: Connection, problem: str | None) -> bool:
        if problem is not None:
            self._complain("app_display_too_large", connection, ErrorCode.DISPLAY_TOO_LARGE, problem)
        return problem is None

    def _complain(self, event: str, connection: Connection, code: ErrorCode, message: str) -> None:
        """Say it now, or together with others a little later; it closes nothing (protocol.md 13.13)."""
        self.telemetry.warning(event, user=self.user_id, package=self.app.package_name, cause=message)
        self._note_error(code.value)
        if connection is not self.state.connection:
            return
        interval_s = self.domain.settings.front_door.error_interval_s
        held, now_said = complaints.heard(self.state.complaints, code, message, self.now, interval_s)
        self.state = msgspec.structs.replace(self.state, complaints=held)
        if now_said is not None:
            self._say(connection, to_app.error(code, now_said, self._stamp()))
        self._arm_complaints()

    def _tell_held(self) -> None:
        interval_s = self.domain.settings.front_door.error_interval_s
        held, due = complaints.told(self.state.complaints, self.now, interval_s)
        self.state = msgspec.structs.replace(self.state, complaints=held)
        for code, message in due:
            if self.state.connection is not None:
                self._say(self.state.connection, to_app.error(code, message, self._stamp()))
        self._arm_complaints()

    def _arm_complaints(self) -> None:
        due = complaints.due_at(self.state.complaints, self.domain.settings.front_door.error_interval_s)
        if due is not None:
            self.set_timer("complaints", max(0.0, due - self.now), ComplaintsTick())

    def _slow_down(self, flood: AppFlooded) -> None:
        """An app over its limit hears so and keeps its socket; what is dropped is said, never only done."""
        limits = self.domain.settings.limits
        self._note_error(ErrorCode.RATE_LIMITED.value)
        self.telemetry.warning(
            "app_rate_limited", user=self.user_id, package=self.app.package_name, dropped=flood.dropped
        )
        message = (
            f"{flood.dropped} messages were dropped: an app may send {limits.app_messages:g} messages"
            f" and {limits.app_bytes} bytes a second"
        )
        stamp = self._stamp()
        error = to_app.error(ErrorCode.RATE_LIMITED, message, stamp, retry_after_s=flood.wait_s)
        self._say(flood.connection, error)

    def _look_at_audio(self) -> None:
        """Say of the audio what there is to say, and look again in a second while the app takes any."""
        connection = self.state.connection
        if connection is None:
            return
        self._tell_missed_audio(connection)
        self._tell_overload(connection)
        if self.state.takes_audio:
            self.set_timer("audio", AUDIO_LOOK_S, AudioTick())

    def _tell_missed_audio(self, connection: Connection) -> None:
        """Frames that waited too long for the app to read them are gone: it hears how many."""
        dropped = connection.health.audio_dropped
        missed = dropped - self.state.audio_dropped
        if missed > 0:
            self.state = msgspec.structs.replace(self.state, audio_dropped=dropped)
            message = f"{missed} microphone frames were dropped: the app reads its socket too slowly"
            self._complain("app_too_slow_for_audio", connection, ErrorCode.AUDIO_DROPPED, message)

    def _tell_overload(self, connection: Connection) -> None:
        """Tell who hears the microphone that a part of it is missing, once each time."""
        overload = self.domain.overload.state
        if overload.entries > self.state.overloads_told:
            self.state = msgspec.structs.replace(self.state, overloads_told=overload.entries)
            if self.state.takes_audio:
                message = "the cloud is overloaded, so a part of the audio is dropped"
                if not overload.is_on:
                    message = "the cloud was overloaded, so a part of the audio was dropped"
                self._say(connection, to_app.error(ErrorCode.AUDIO_SHED, message, self._stamp()))


def is_audio(wish: object) -> bool:
    """Whether an entry of a subscription list asks for the microphone, or for what is heard in it."""
    return isinstance(wish, str) and wish.startswith(_AUDIO)
