"""What a phone's microphone sends, said over REST after every ack (protocol.md 1.2, 7.1)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from quart import Blueprint, Response, request

from actors.ports import Telemetry, Tokens
from actors.session.messages import configure_audio
from actors.users.roster import RosterMessage
from adapters.http.callers import json_answer, session_of
from adapters.http.routes import Caller, Route
from protocols import MalformedMessage, audio, rest, timestamps
from protocols.audio import AudioFormat
from protocols.error_codes import ErrorCode
from runtime import Ref, RuntimeFailure

CONFIGURE_TIMEOUT_S = 5.0


class AudioConfiguredAnswer(AudioFormat, frozen=True, kw_only=True):
    """What was understood."""

    timestamp: str
    success: bool = True


CONFIGURE = Route(
    "POST",
    "/api/client/audio/configure",
    Caller.SESSION,
    "the caller's own session",
    "What the phone's microphone sends from now on.",
    request=AudioFormat,
    answer=AudioConfiguredAnswer,
    statuses=(500,),
)

ROUTES = (CONFIGURE,)


def audio_routes(
    *, tokens: Tokens, roster: Ref[RosterMessage], telemetry: Telemetry, wall: Callable[[], float]
) -> Blueprint:
    """`POST /api/client/audio/configure`."""
    blueprint = Blueprint("audio", __name__)

    async def configure() -> Response:
        session = await session_of(request, tokens, roster, telemetry)
        if isinstance(session, Response):
            return session
        if session is None:
            return json_answer(503, rest.no_active_session("No active session found"))
        try:
            body: bytes = await request.get_data(cache=True, as_text=False, parse_form_data=False)
            format = audio.decode_format(body)
        except MalformedMessage as error:
            telemetry.warning("audio_format_refused", cause=error.cause)
            message = f"Invalid audio format: {error.cause}"
            return json_answer(400, rest.failure(message, ErrorCode.INVALID_REQUEST, timestamp=_stamp()))
        try:
            is_taken = await session.ask(configure_audio(format), timeout_s=CONFIGURE_TIMEOUT_S)
        except RuntimeFailure as error:
            telemetry.warning("rest_audio_failed", cause=str(error))
            message = "The audio format could not be configured"
            return json_answer(500, rest.failure(message, ErrorCode.INTERNAL_ERROR, timestamp=_stamp()))
        if not is_taken:
            # The format is a connection's: the phone had better open one, and say it again.
            return json_answer(503, rest.no_active_session("No phone is connected to the session"))
        return json_answer(200, rest.success(timestamp=_stamp(), **msgspec.to_builtins(format)))

    def _stamp() -> str:
        return timestamps.iso(wall())

    blueprint.add_url_rule("/api/client/audio/configure", "configure", configure, methods=["POST"])
    return blueprint
