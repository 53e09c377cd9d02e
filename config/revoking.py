"""Revoked tokens: the server's copy follows the store, and whoever holds a socket with one is hung up on.

The command that revokes works on the store from another process; see `glasshouse user revoke`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import trio

from actors.ports import Outgoing, StorageError, Store, Telemetry
from actors.users.roster import branch_name
from adapters.tokens.revocations import COLLECTION, MOST, Revocations
from protocols import close_codes, timestamps, to_phone
from protocols.error_codes import ErrorCode
from runtime import ActorSystem


class RevocationWatch:
    """Keeps `revocations` as the store has them.

    Args:
      every_s: how often the store is asked.
    """

    def __init__(
        self, store: Store, revocations: Revocations, telemetry: Telemetry, *, every_s: float
    ) -> None:
        self._store = store
        self._revocations = revocations
        self._telemetry = telemetry
        self._every_s = every_s
        self._is_well = True

    async def read(self) -> frozenset[str]:
        """Ask now.

        Returns:
          The users whose tokens are revoked since the last time.

        Raises:
          StorageError: what was known stays.
        """
        return self._revocations.replace(await self._store.list_documents(COLLECTION, None, MOST))

    async def run(self, hang_up: Callable[[Collection[str]], None]) -> None:
        """Ask until cancelled, and have the phones of these users hung up on."""
        while True:
            await trio.sleep(self._every_s)
            try:
                users = await self.read()
            except StorageError as error:
                if self._is_well:
                    self._telemetry.error("revocations_not_read", cause=str(error))
                self._is_well = False
                continue
            self._is_well = True
            if users:
                hang_up(users)


def hang_up(system: ActorSystem, tree: str, users: Collection[str], telemetry: Telemetry) -> None:
    """Close the phones' sockets of users whose tokens are revoked: they come back with a good one or not.

    Their sessions stay for as long as those of any phone that was lost.

    Args:
      tree: the path of the server's tree.
    """
    for user_id in users:
        link = system.find(f"{tree}/users/{branch_name(user_id)}/link")
        connection = None if link is None else system.state_of(link).connection
        telemetry.info("tokens_revoked", user=user_id, is_connected=connection is not None)
        if connection is not None and connection.is_open:
            error = to_phone.ConnectionError(
                code=ErrorCode.INVALID_TOKEN,
                message="The token was revoked",
                timestamp=timestamps.iso(system.clock.wall()),
            )
            connection.send(Outgoing(to_phone.encode(error)))
            connection.close(close_codes.PHONE_TOKEN_REVOKED.code, close_codes.PHONE_TOKEN_REVOKED.reason)
