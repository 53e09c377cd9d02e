"""A user's computers over REST: registered, listed, removed, and logged in by a short code (docs/desktop.md).

The user is the core token's, and nobody else's computers can be seen or told from none. A token is made here,
shown once in an answer, and kept as its hash.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from quart import Blueprint, Response, request

from actors.desktop import login, tokens
from actors.desktop.daemon_messages import register_daemon, remove_daemon
from actors.desktop.entrance import DaemonEntrance
from actors.desktop.logins import (
    GiveLoginBack,
    LoginsMessage,
    answer_login,
    begin_login,
    poll_login,
    show_login,
)
from actors.desktop.messages import ListDaemons
from actors.ports import StorageError, Tokens
from adapters.http.application import json_response
from adapters.http.callers import caller_of
from adapters.http.refusals import Refusal, read_body, try_again
from protocols.desktop.documents import Daemon
from runtime import Ref, RuntimeFailure

BODY_BYTES: Final = 4_096

Name = Annotated[str, Meta(min_length=1, max_length=100)]
View = Callable[..., Awaitable[Response]]


class Named(msgspec.Struct, frozen=True):
    """What a computer is called."""

    name: Name


class Device(msgspec.Struct, frozen=True, rename="camel"):
    """The device code of a login that waits."""

    device_code: Annotated[str, Meta(min_length=1, max_length=200)]


def computer_routes(
    *,
    tokens: Tokens,
    entrance: DaemonEntrance,
    logins: Ref[LoginsMessage],
    make_secret: Callable[[], str],
    wall: Callable[[], float],
) -> Blueprint:
    """`/api/daemons` and `/api/daemons/codes`.

    Args:
      make_secret: 32 random bytes as URL-safe text, another one at each call.
      wall: epoch seconds.
    """
    return _ComputerRoutes(tokens, entrance, logins, make_secret, wall).blueprint()


class _ComputerRoutes:
    def __init__(
        self,
        core_tokens: Tokens,
        entrance: DaemonEntrance,
        logins: Ref[LoginsMessage],
        make_secret: Callable[[], str],
        wall: Callable[[], float],
    ) -> None:
        self.core_tokens = core_tokens
        self.entrance = entrance
        self.logins = logins
        self.make_secret = make_secret
        self.wall = wall
        self.telemetry = entrance.telemetry

    def blueprint(self) -> Blueprint:
        blueprint = Blueprint("computers", __name__)
        code = "/api/daemons/codes/<user_code>"
        for path, name, view, method in (
            ("/api/daemons", "register", self._for_users(self.register), "POST"),
            ("/api/daemons", "list", self._for_users(self.list), "GET"),
            ("/api/daemons/<daemon_id>", "remove", self._for_users(self.remove), "DELETE"),
            ("/api/daemons/codes", "begin", self._for_anybody(self.begin), "POST"),
            ("/api/daemons/codes/poll", "poll", self._for_anybody(self.poll), "POST"),
            (code, "show", self._for_users(self.show), "GET"),
            (f"{code}/approve", "approve", self._for_users(self.approve), "POST"),
            (f"{code}/deny", "deny", self._for_users(self.deny), "POST"),
        ):
            blueprint.add_url_rule(path, name, view, methods=[method])
        return blueprint

    # -- computers ----------------------------------------------------------------------------------------

    async def register(self, user_id: str) -> Response:
        daemon, token = await self._make(user_id, await _name())
        return json_response({"daemonId": daemon.daemon_id, "name": daemon.name, "token": token}, status=201)

    async def list(self, user_id: str) -> Response:
        return json_response({"daemons": await self.entrance.ask(user_id, ListDaemons)})

    async def remove(self, user_id: str, daemon_id: str) -> Response:
        if not await self.entrance.ask(user_id, remove_daemon(daemon_id)):
            raise Refusal(404, "There is no such computer", "DAEMON_NOT_FOUND")
        return json_response({"ok": True})

    async def _make(self, user_id: str, name: str) -> tuple[Daemon, str]:
        daemon_id = f"daemon_{login.user_code_of(self.make_secret()).lower()}"
        token = tokens.make_token(daemon_id, self.make_secret())
        daemon = Daemon(
            daemon_id=daemon_id,
            user_id=user_id,
            name=name,
            hashed_token=tokens.hash_of(token),
            created_at=round(self.wall() * 1000),
        )
        if await self.entrance.ask(user_id, register_daemon(daemon)) is None:
            raise Refusal(409, "You have too many computers; remove one first", "TOO_MANY_DAEMONS")
        return daemon, token

    # -- logging in ---------------------------------------------------------------------------------------

    async def begin(self) -> Response:
        name = await _name()
        device_code = self.make_secret()
        user_code = login.user_code_of(self.make_secret())
        begun = await self.logins.ask(begin_login(tokens.hash_of(device_code), user_code, name))
        if isinstance(begun, login.Limited):
            raise _limited("Too many computers log in at the moment", "RATE_LIMITED", begun)
        return json_response(
            {
                "deviceCode": device_code,
                "userCode": login.written(begun.user_code),
                "expiresIn": round(begun.expires_in_s),
                "interval": begun.interval_s,
            },
            status=201,
        )

    async def poll(self) -> Response:
        device_hash = tokens.hash_of((await read_body(Device, BODY_BYTES)).device_code)
        match await self.logins.ask(poll_login(device_hash)):
            case login.NotYet(interval_s, is_too_soon):
                status = "slow_down" if is_too_soon else "pending"
                body = {"status": status, "interval": interval_s}
                return json_response(body, status=429 if is_too_soon else 202)
            case login.Denied():
                return json_response({"status": "denied"}, status=403)
            case login.Granted(user_id, name):
                return await self._grant(device_hash, user_id, name)
        return json_response({"status": "expired"}, status=404)

    async def _grant(self, device_hash: str, user_id: str, name: str) -> Response:
        try:
            daemon, token = await self._make(user_id, name)
        except (StorageError, RuntimeFailure):
            self.logins.tell(GiveLoginBack(device_hash))
            raise
        body = {"daemonId": daemon.daemon_id, "name": name, "token": token, "userId": user_id}
        return json_response({"status": "approved", **body})

    async def show(self, user_id: str, user_code: str) -> Response:
        shown = _seen(await self.logins.ask(show_login(user_id, user_code)))
        body = {"userCode": login.written(shown.user_code), "name": shown.name}
        return json_response({**body, "expiresIn": round(shown.expires_in_s)})

    async def approve(self, user_id: str, user_code: str) -> Response:
        shown = _seen(await self.logins.ask(answer_login(user_id, user_code, is_allowed=True)))
        self.telemetry.info("daemon_login_allowed", user=user_id, name=shown.name)
        return json_response({"ok": True, "name": shown.name})

    async def deny(self, user_id: str, user_code: str) -> Response:
        _seen(await self.logins.ask(answer_login(user_id, user_code, is_allowed=False)))
        return json_response({"ok": True})

    # -- callers ------------------------------------------------------------------------------------------

    def _for_users(self, view: View) -> View:
        async def answer(**named: Any) -> Response:
            user_id = caller_of(request, self.core_tokens, self.telemetry)
            return user_id if isinstance(user_id, Response) else await view(user_id, **named)

        return self._for_anybody(answer)

    def _for_anybody(self, view: View) -> View:
        async def answer(**named: Any) -> Response:
            try:
                return await view(**named)
            except Refusal as refusal:
                return refusal.answer
            except (StorageError, RuntimeFailure) as error:
                self.telemetry.warning("rest_computers_failed", cause=str(error))
                return try_again(error)

        return answer


async def _name() -> str:
    try:
        name = (await read_body(Named, BODY_BYTES)).name.strip()
    except Refusal as refusal:
        if refusal.answer.status_code != 400:
            raise
        name = ""
    if not name or not name.isprintable():
        raise Refusal(400, "name must be 1 to 100 printable characters", "INVALID_NAME")
    return name


def _seen(outcome: login.ShowOutcome) -> login.Shown:
    match outcome:
        case login.Shown():
            return outcome
        case login.Limited():
            raise _limited("Too many codes that there are not; wait a little", "TOO_MANY_GUESSES", outcome)
    raise Refusal(404, "There is no such code, or it has expired", "CODE_UNKNOWN")


def _limited(error: str, code: str, limited: login.Limited) -> Refusal:
    refusal = Refusal(429, error, code)
    refusal.answer.headers["Retry-After"] = str(max(1, round(limited.retry_after_s)))
    return refusal
