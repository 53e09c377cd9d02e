"""Logging a desktop in by a short code: shown here, allowed where the user is logged in already.

docs/desktop.md has the routes. The code that a person types is not the one that fetches the token, so who
reads it over a shoulder has nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import trio

from adapters.desktop_state import Credentials
from adapters.desktop_uplink import HttpAnswer, NoAnswerError, ServerHttp
from config.daemon.home import DaemonError

T = TypeVar("T")
_MOST_FAILURES = 5
_LONGEST_INTERVAL_S = 60.0


class Code(msgspec.Struct, frozen=True, rename="camel"):
    """A code to log in with."""

    device_code: str
    user_code: str
    expires_in: float = 600.0
    interval: float = 2.0


class _Approved(msgspec.Struct, frozen=True, rename="camel"):
    token: str
    daemon_id: str = ""
    name: str = ""
    user_id: str = ""


class _Pending(msgspec.Struct, frozen=True):
    status: str = ""
    interval: float | None = None


class WaitingCode(msgspec.Struct, frozen=True, rename="camel"):
    """What somebody compares before they allow a code."""

    user_code: str
    name: str


async def ask_for_code(http: ServerHttp, name: str) -> Code:
    """A new code for a desktop of this name. Raises DaemonError."""
    answer = await _ask(http, "POST", "/api/daemons/codes", {"name": name})
    if answer.status == 429:
        wait_s = f" in {answer.retry_after_s:g} s" if answer.retry_after_s else " later"
        raise DaemonError(f"the server has too many logins waiting; try again{wait_s}")
    if answer.status != 201:
        raise DaemonError(f"the server gives no code: {_said(answer)}")
    return _decoded(answer, Code)


async def wait_for_token(http: ServerHttp, server: str, code: Code) -> Credentials:
    """What the desktop is logged in with, once somebody has allowed the code. Raises DaemonError."""
    interval_s, failures = code.interval, 0
    while True:
        await trio.sleep(min(max(interval_s, 0.05), _LONGEST_INTERVAL_S))
        try:
            answer = await _ask(http, "POST", "/api/daemons/codes/poll", {"deviceCode": code.device_code})
        except DaemonError:
            failures += 1
            if failures > _MOST_FAILURES:
                raise
            continue
        match answer.status:
            case 200:
                approved = _decoded(answer, _Approved)
                return Credentials(
                    server=server,
                    token=approved.token,
                    daemon_id=approved.daemon_id,
                    user_id=approved.user_id,
                    name=approved.name,
                )
            case 202 | 429:
                interval_s = _decoded(answer, _Pending).interval or interval_s
                interval_s += answer.status == 429
            case 403:
                raise DaemonError("the login was denied")
            case 404:
                raise DaemonError("the code has expired; log in again")
            case _:
                failures += 1
                if failures > _MOST_FAILURES:
                    raise DaemonError(f"the server does not say whether it was allowed: {_said(answer)}")


async def answer_code(
    http: ServerHttp, core_token: str, user_code: str, *, allows: Callable[[WaitingCode], bool]
) -> str:
    """Allow or deny a code, as the user of `core_token`.

    Args:
      allows: asked once it is known which desktop wants in.

    Returns:
      What became of it, for people.

    Raises:
      DaemonError
    """
    path = f"/api/daemons/codes/{_path_part(user_code)}"
    answer = await _ask(http, "GET", path, token=core_token)
    _expect(answer)
    waiting = _decoded(answer, WaitingCode)
    is_allowed = allows(waiting)
    verb = "approve" if is_allowed else "deny"
    _expect(await _ask(http, "POST", f"{path}/{verb}", {}, token=core_token))
    return f"{waiting.name} {'is logged in' if is_allowed else 'was denied'}"


def _expect(answer: HttpAnswer) -> None:
    match answer.status:
        case 200:
            return
        case 401:
            raise DaemonError("the server does not know this core token")
        case 404:
            raise DaemonError("there is no such code, or it has expired or was answered")
        case _:
            raise DaemonError(f"the server refuses: {_said(answer)}")


async def _ask(
    http: ServerHttp, method: str, path: str, body: dict[str, Any] | None = None, *, token: str = ""
) -> HttpAnswer:
    encoded = None if body is None else msgspec.json.encode(body)
    try:
        return await http.request(method, path, encoded, token=token)
    except NoAnswerError as error:
        raise DaemonError(f"the server does not answer: {error}") from error


def _decoded(answer: HttpAnswer, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DaemonError(f"the server's answer is not understood: {error}") from error


def _said(answer: HttpAnswer) -> str:
    try:
        said = msgspec.json.decode(answer.body, type=dict[str, Any]).get("error", "")
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = ""
    return f"status {answer.status} {said}".strip()


def _path_part(user_code: str) -> str:
    """A user code as it may stand in a path. Raises DaemonError."""
    code = user_code.strip().replace(" ", "")
    if not code or not code.replace("-", "").isalnum() or not code.isascii() or len(code) > 32:
        raise DaemonError(f"expected a code as WDJB-MJHT, got {user_code!r}")
    return code
