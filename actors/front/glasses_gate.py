"""The gate of `/glasses-ws`: a good core token opens the session, then the upgrade.

The session exists before the upgrade completes, because a phone's REST calls race with it (protocol.md 4.2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from protocols import rest, timestamps
from protocols.error_codes import ERRORS, ErrorCode
from runtime import ActorFailed, ActorStopped, ActorSystem, Ref, ReplyTo, RuntimeFailure

from ..allowance import TrafficLimits, phone_allowances
from ..audio.udp import UdpDoor
from ..link.handler import PhoneHandler
from ..overload import OverloadBoard
from ..ports import Admitted, Refused, StorageError, Telemetry, TokenError, Tokens, Upgrade
from ..session.messages import AdmitPhone, PhoneWelcome, SessionOverError
from ..snapshots.messages import SnapshotsMessage, find_snapshot
from ..users.roster import RosterMessage, ensure_user, find_user
from .settings import FrontDoorSettings

M = TypeVar("M")
R = TypeVar("R")


class GlassesGate:
    """Verifies the token, finds or makes the user's session, and hands the connection to its link."""

    def __init__(
        self,
        *,
        system: ActorSystem,
        tokens: Tokens,
        roster: Ref[RosterMessage],
        telemetry: Telemetry,
        settings: FrontDoorSettings,
        limits: TrafficLimits,
        overload: OverloadBoard,
        snapshots: Ref[SnapshotsMessage],
        udp: UdpDoor,
    ) -> None:
        self.udp = udp
        self.overload = overload
        self.snapshots = snapshots
        self.settings = settings
        self.limits = limits
        self.system = system
        self.tokens = tokens
        self.roster = roster
        self.telemetry = telemetry
        self.dials: Counter[str] = Counter()  # under way, by user

    async def admit(self, upgrade: Upgrade) -> Admitted | Refused:
        token, token_in_query = token_of(upgrade)
        try:
            if token is None:
                raise TokenError("No core token provided", "neither an Authorization header nor token=")
            user_id = self.tokens.verify(token)
        except TokenError as error:
            self.telemetry.warning("phone_refused", peer=upgrade.peer, cause=error.cause)
            return self._refuse(401, error.message, ErrorCode.INVALID_TOKEN)
        if self.dials[user_id] >= self.limits.sockets_per_user:
            self.telemetry.warning("user_sockets_limited", user=user_id)
            return self._refuse(503, "Too many phones of this user wait", ErrorCode.TOO_MANY_SOCKETS)
        self.dials[user_id] += 1
        try:
            if self.overload.state.is_closed and not await self._is_known(user_id):
                self.telemetry.warning("session_refused_overloaded", user=user_id)
                return self._refuse(503, "Overloaded: no new sessions for a moment", ErrorCode.OVERLOADED)
            welcome = await self._welcome(user_id)
        except RuntimeFailure as error:
            self.telemetry.error("phone_not_admitted", user=user_id, cause=str(error))
            return self._refuse(503, "The session could not be opened; try again", ErrorCode.INTERNAL_ERROR)
        finally:
            self.dials[user_id] -= 1
            if not self.dials[user_id]:
                del self.dials[user_id]
        return Admitted(
            PhoneHandler(
                user_id=user_id,
                link=welcome.link,
                audio=welcome.audio,
                token_in_query=token_in_query,
                telemetry=self.telemetry,
                allowances=phone_allowances(self.limits),
                offer=self.udp.offer(is_encrypted=upgrade.query.get("udpEncryption") == "true"),
            )
        )

    async def _is_known(self, user_id: str) -> bool:
        """Whether the user has a session, here or as the process before left it: it is never turned away."""
        patience_s = self.settings.admit_s
        if await self.roster.ask(find_user(user_id), timeout_s=patience_s) is not None:
            return True
        try:
            return await self.snapshots.ask(find_snapshot(user_id), timeout_s=patience_s)
        except StorageError:
            return True  # it may have one

    async def _welcome(self, user_id: str) -> PhoneWelcome:
        while True:
            session = await self._ask(self.roster, ensure_user(user_id))
            try:
                return await self._ask(session, AdmitPhone)
            except (ActorStopped, SessionOverError):
                # It ended between the two questions. The roster holds the next one until the successor
                # stands, and the listener bounds the whole.
                continue

    async def _ask(self, ref: Ref[M], make: Callable[[ReplyTo[R]], M]) -> R:
        """Ask, and ask again if a crash took the question along: a phone that is refused waits for 5 s."""
        try:
            return await ref.ask(make, timeout_s=self.settings.admit_s)
        except ActorFailed:
            return await ref.ask(make, timeout_s=self.settings.admit_s)

    def _refuse(self, status: int, message: str, code: ErrorCode) -> Refused:
        stamp = timestamps.iso(self.system.clock.wall())
        wait_s = ERRORS[code].retry_after_s
        if code is ErrorCode.OVERLOADED:
            wait_s = self.overload.settings.retry_after_s
        body = rest.upgrade_refusal("connection_error", message, code, timestamp=stamp, retry_after_s=wait_s)
        headers = {} if wait_s is None else {"Retry-After": str(max(1, round(wait_s)))}
        return Refused(status, body, headers)


def token_of(upgrade: Upgrade) -> tuple[str | None, bool]:
    """The token of an upgrade and whether it came in the query; the query wins, it is the newer form."""
    query_token = upgrade.query.get("token")
    if query_token:
        return query_token, True
    scheme, _, value = upgrade.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip(), False
    return None, False
