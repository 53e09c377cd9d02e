"""Texts made audible, for the phone that an app's play request sent here (protocol.md 1.2, 8.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from quart import Blueprint, Response, request

from actors.ports import Telemetry
from actors.speaking import Speaking
from actors.synthesis_ports import SynthesisError
from adapters.http.callers import json_answer
from protocols import rest, speech_url, timestamps
from protocols.error_codes import ErrorCode

MOST_AT_ONCE: Final = 3
"""Requests of one wearer; a player may ask twice for the same."""


def speech_routes(*, speaking: Speaking | None, telemetry: Telemetry, wall: Callable[[], float]) -> Blueprint:
    """`GET /api/tts`.

    Query: `text`; `ticket`, which the server has put into the address that it passed on to the phone. A voice
    or a model (`voice_id`, `model_id`, `voice_settings`) cannot be chosen here and is ignored.

    Answers: 200 with audio/wav; 400 without a text, or for one that is too long; 401 without a ticket for
    this text, or with one that is over; 429 for who has three texts spoken at once; 503 where nothing speaks,
    or too much is being spoken.
    """
    blueprint = Blueprint("speech", __name__)
    under_way: dict[str, int] = {}

    async def speak() -> Response:
        text = request.args.get("text", "")
        if speaking is None:
            return _failure(503, "nothing on this server speaks", ErrorCode.SPEECH_UNAVAILABLE)
        user_id = speaking.tickets.holder(request.args.get("ticket", ""), text, wall())
        if user_id is None:
            telemetry.warning("speech_refused", cause="no good ticket")
            return json_answer(401, rest.unauthorized(rest.INVALID_OR_EXPIRED_TOKEN, ErrorCode.INVALID_TOKEN))
        if not text.strip():
            return _failure(400, "there is no text", ErrorCode.INVALID_REQUEST)
        if under_way.get(user_id, 0) >= MOST_AT_ONCE:
            message = f"{MOST_AT_ONCE} texts at once are being spoken for you already"
            return _failure(429, message, ErrorCode.RATE_LIMITED)
        under_way[user_id] = under_way.get(user_id, 0) + 1
        try:
            wav = await speaking.synthesis.speak(text)
        except SynthesisError as error:
            return _refused(error)
        finally:
            under_way[user_id] -= 1
            if not under_way[user_id]:
                del under_way[user_id]
        answer = Response(wav, content_type="audio/wav")
        answer.headers["Cache-Control"] = "private, no-store"
        return answer

    def _refused(error: SynthesisError) -> Response:
        telemetry.warning("speech_refused", cause=error.kind)
        if error.kind == "too_long":
            return _failure(400, error.cause, ErrorCode.INVALID_REQUEST)
        answer = _failure(503, error.cause, ErrorCode.SPEECH_UNAVAILABLE)
        if error.kind == "busy":
            answer.headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
        return answer

    def _failure(status: int, message: str, code: ErrorCode) -> Response:
        return json_answer(status, rest.failure(message, code, timestamp=timestamps.iso(wall())))

    blueprint.add_url_rule(speech_url.PATH, "speak", speak, methods=["GET"])
    return blueprint
