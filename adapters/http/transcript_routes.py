"""What was said, for the apps that run for who said it (protocol.md 1.3, 7.8)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from quart import Blueprint, Response, request

from actors.app_keys import key_matches
from actors.directory import DirectoryMessage, find_app
from actors.ports import StorageError, Telemetry
from actors.session.messages import NotPermittedError, read_transcripts
from actors.users.roster import RosterMessage, find_user
from adapters.http.callers import Admits, json_answer, not_now
from adapters.http.routes import Caller, Route
from protocols import rest, timestamps
from protocols.error_codes import ErrorCode
from protocols.errors import InvalidSessionId
from protocols.session_ids import user_of
from protocols.streams import DEFAULT_LANGUAGE
from runtime import Ref, RuntimeFailure

READ_TIMEOUT_S = 1.5  # it is read from memory; only a crash, or a slow store at the start, takes longer


READ = Route[None](
    "GET",
    "/api/transcripts/<session_id>",
    Caller.APP_HEADERS,
    "what was said by users who run the caller, which declares the microphone",
    "What was said, in a language and between two moments.",
    answer=rest.Transcripts,
    statuses=(400, 403, 404),
    query={"duration": False, "startTime": False, "endTime": False, "language": False},
)

ROUTES = (READ,)


def transcript_routes(
    *,
    directory: Ref[DirectoryMessage],
    roster: Ref[RosterMessage],
    telemetry: Telemetry,
    wall: Callable[[], float],
    admits: Admits,
) -> Blueprint:
    """`GET /api/transcripts/<app session id>`.

    Query: `duration` in seconds, or `startTime` and `endTime`, of which one may be missing, as ISO-8601 or
    epoch milliseconds; `language`, en-US unless given. Headers: `X-API-Key`, and `X-Package-Name`, the
    package at the end of the session id.

    Answers: 200 `{language, segments}`; 400 without a range, or with one that is none; 401 for an unknown
    app, a wrong key, or a session of another app, which all look the same; 403 for an app that does not
    declare the microphone; 404 where the app does not run for such a wearer; 503 with `Retry-After` while the
    store cannot answer.
    """
    blueprint = Blueprint("transcripts", __name__)

    async def read(session_id: str) -> Response:
        package_name = request.headers.get("X-Package-Name", "")
        try:
            app = await directory.ask(find_app(package_name))
            if (
                app is None
                or not key_matches(app, request.headers.get("X-API-Key", ""), wall())
                or not admits(app)
            ):
                telemetry.warning(
                    "transcripts_refused", package=package_name, cause="unknown app or wrong key"
                )
                return _failure(401, "Invalid API key", ErrorCode.INVALID_API_KEY)
            try:
                user_id = user_of(session_id, package_name)
            except InvalidSessionId:
                telemetry.warning("transcripts_refused", package=package_name, cause="another app's session")
                return _failure(401, "Invalid API key", ErrorCode.INVALID_API_KEY)
            between = _range_of(request.args, wall())
            if isinstance(between, str):
                return _failure(400, between, ErrorCode.INVALID_REQUEST)
            language = request.args.get("language") or DEFAULT_LANGUAGE
            session = await roster.ask(find_user(user_id))
            question = read_transcripts(package_name, language, *between)
            segments = None if session is None else await session.ask(question, timeout_s=READ_TIMEOUT_S)
        except NotPermittedError as error:
            return _failure(403, str(error), ErrorCode.PERMISSION_DENIED)
        except (StorageError, RuntimeFailure) as error:
            telemetry.warning("rest_transcripts_failed", package=package_name, cause=str(error))
            return not_now(error, ErrorCode.TRY_AGAIN, timestamp=timestamps.iso(wall()))
        if segments is None:
            return _failure(404, "Session not found", ErrorCode.SESSION_NOT_FOUND)
        return json_answer(200, rest.transcripts(language, segments))

    def _failure(status: int, message: str, code: ErrorCode) -> Response:
        return json_answer(status, rest.failure(message, code, timestamp=timestamps.iso(wall())))

    blueprint.add_url_rule("/api/transcripts/<session_id>", "read", read, methods=["GET"])
    return blueprint


def _range_of(query: Mapping[str, str], now_s: float) -> tuple[float, float] | str:
    """From when to when in epoch milliseconds, or what is wrong with the question."""
    duration, start, end = (query.get(name) for name in ("duration", "startTime", "endTime"))
    if duration:
        try:
            duration_s = float(duration)
        except ValueError:
            duration_s = math.nan
        if not 0 < duration_s < math.inf:
            return "duration must be a number of seconds, more than 0"
        return (now_s - duration_s) * 1000, math.inf
    if not start and not end:
        return "duration, or startTime or endTime, is required"
    start_s, end_s = -math.inf, math.inf
    for name, text in (("startTime", start), ("endTime", end)):
        if text:
            moment = timestamps.parse(int(text) if text.isascii() and text.isdigit() else text)
            if moment is None:
                return f"{name} must be a time: 2026-11-21T06:00:00Z, or epoch milliseconds"
            start_s, end_s = (moment, end_s) if name == "startTime" else (start_s, moment)
    return start_s * 1000, end_s * 1000
