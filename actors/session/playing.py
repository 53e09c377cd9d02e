"""Sound that an app wants on the glasses: passed on to the phone, and always answered (protocol.md 8.2).

An app waits for its answer for a minute, so each request gets one: the phone's, or ours where there is no
phone, it was lost, or it stays silent. Text that this server is to speak gets its ticket here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from protocols import error_codes, from_phone, to_app, to_phone
from protocols.error_codes import ErrorCode
from protocols.speech_url import speech_url, text_of

from ..apps.messages import Deliver
from . import wire
from .core import SessionCore
from .messages import PlayOverdue, PlayRequested, StopPlaying
from .state import Play

PLAY_S: Final = 55.0
"""An app's SDK gives up after 60 s (protocol.md 8.2)."""

MOST_PLAYS: Final = 32


class Playing(SessionCore):
    """What a session does for the sound of its apps."""

    def _play(self, wanted: PlayRequested) -> None:
        package_name, request = wanted.package_name, wanted.request
        url, problem = self._audible(request.audio_url)
        if not self._is_phone_here():
            self._answer_play(package_name, request.request_id, ErrorCode.PHONE_AWAY, "no phone is connected")
        elif problem is not None:
            self._answer_play(package_name, request.request_id, ErrorCode.SPEECH_UNAVAILABLE, problem)
        elif request.request_id in self.state.plays:
            message = "a request of this id waits for the phone already"
            self._answer_play(package_name, request.request_id, ErrorCode.INVALID_REQUEST, message)
        elif len(self.state.plays) >= MOST_PLAYS:
            message = f"{MOST_PLAYS} requests to play wait for the phone already"
            self._answer_play(package_name, request.request_id, ErrorCode.RATE_LIMITED, message)
        else:
            self._put_play(request.request_id, Play(package_name, self.now + PLAY_S))
            self._await_play(request.request_id, PLAY_S)
            self._to_phone(
                to_phone.encode(
                    to_phone.AudioPlayRequest(
                        session_id=self.user_id,
                        request_id=request.request_id,
                        package_name=package_name,
                        app_id=package_name,
                        audio_url=url,
                        volume=1 if request.volume is None else request.volume,
                        stop_other_audio=request.stop_other_audio is not False,
                        track_id=request.track_id,
                        timestamp=self._stamp(),
                    )
                )
            )

    def _is_phone_here(self) -> bool:
        return self.state.phone is not None and self.state.acked == self.state.phone

    def _audible(self, url: str) -> tuple[str, str | None]:
        """Where the phone finds it, or why there is nothing to be heard."""
        urls, speaking = self.domain.urls, self.domain.ports.speaking
        text = text_of(url, (urls.public, urls.internal))
        if text is None:
            return url, None
        if speaking is None or not speaking.synthesis.is_ready:
            return url, "nothing on this server speaks"
        ticket = speaking.tickets.ticket(self.user_id, text, self.system.clock.wall())
        return speech_url(urls.public, text, ticket), None

    def _stop_playing(self, wanted: StopPlaying) -> None:
        if self._is_phone_here():
            self._to_phone(
                to_phone.encode(
                    to_phone.AudioStopRequest(
                        session_id=self.user_id,
                        package_name=wanted.package_name,
                        app_id=wanted.package_name,
                        track_id=wanted.track_id,
                        timestamp=self._stamp(),
                    )
                )
            )

    def _played(self, answer: from_phone.AudioPlayResponse) -> None:
        play = self._take_play(answer.request_id)
        if play is not None:
            self._deliver_play(
                play.package_name,
                to_app.AudioPlayResponse(
                    request_id=answer.request_id,
                    success=answer.success is not False,
                    error=answer.error,
                    duration=answer.duration,
                    timestamp=self._stamp(),
                ),
            )

    def _play_overdue(self, overdue: PlayOverdue) -> None:
        play = self._take_play(overdue.request_id)
        if play is not None:
            message = f"the phone did not answer within {PLAY_S:g} s"
            self._answer_play(play.package_name, overdue.request_id, ErrorCode.PHONE_AWAY, message)

    def _plays_are_lost(self) -> None:
        for request_id, play in self.state.plays.items():
            self.cancel_timer(f"play {request_id}")
            self._answer_play(play.package_name, request_id, ErrorCode.PHONE_AWAY, "the phone was lost")
        self.state = replace(self.state, plays={})

    def _await_plays(self) -> None:
        for request_id, play in self.state.plays.items():
            self._await_play(request_id, max(0.0, play.due_at - self.now))

    def _await_play(self, request_id: str, after_s: float) -> None:
        self.set_timer(f"play {request_id}", after_s, PlayOverdue(request_id))

    def _answer_play(self, package_name: str, request_id: str, code: ErrorCode, message: str) -> None:
        self._deliver_play(
            package_name,
            to_app.AudioPlayResponse(
                request_id=request_id,
                success=False,
                error=msgspec.Raw(msgspec.json.encode(message)),
                timestamp=self._stamp(),
                **error_codes.details(code),
            ),
        )

    def _deliver_play(self, package_name: str, answer: to_app.AudioPlayResponse) -> None:
        entry = self.state.apps.get(package_name)
        if entry is not None:
            entry.ref.tell(Deliver(wire.control(to_app.encode(answer))))

    def _take_play(self, request_id: str) -> Play | None:
        self.cancel_timer(f"play {request_id}")
        play: Play | None = self.state.plays.get(request_id)
        rest = {known: other for known, other in self.state.plays.items() if known != request_id}
        self.state = replace(self.state, plays=rest)
        return play

    def _put_play(self, request_id: str, play: Play) -> None:
        plays: Mapping[str, Play] = {**self.state.plays, request_id: play}
        self.state = replace(self.state, plays=plays)
