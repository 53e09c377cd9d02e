"""Answers that say no, for the routes of desktops: `{"error", "code"}`, raised where they are known."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec
from quart import Response, request

from actors.ports import retry_after_s
from adapters.http.application import json_response

REPORT_BYTES: Final = 262_144
"""The largest body that has no result in it."""

T = TypeVar("T")


class Refusal(Exception):  # noqa: N818 - an answer, raised where it is known
    """Answer with this."""

    def __init__(self, status: int, error: str, code: str, **fields: object) -> None:
        super().__init__(error)
        self.answer = json_response({"error": error, "code": code, **fields}, status=status)


def try_again(error: Exception) -> Response:
    """The 503 with `Retry-After` of a server that cannot answer now."""
    wait_s = retry_after_s(error)
    body = {"error": f"Not now, try again in {wait_s:g} s", "code": "TRY_AGAIN"}
    answer = json_response(body, status=503)
    answer.headers["Retry-After"] = str(max(1, round(wait_s)))
    return answer


async def read_body(kind: type[T], limit: int | None) -> T:
    """The request's JSON body.

    Args:
      limit: its bytes at most; None leaves it to the application.

    Raises:
      Refusal: 400 for another body, 413 for a larger one.
    """
    payload = await request.get_data(cache=False, as_text=False, parse_form_data=False)
    if limit is not None and len(payload) > limit:
        raise Refusal(413, f"a body has {limit} bytes at most here", "BODY_TOO_LARGE")
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"the body is not what is expected here: {error}", "INVALID_REPORT") from error
