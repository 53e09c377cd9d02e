"""REST from an app: its own calls with its own key, and what it keeps for a wearer (docs/rest.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec
import trio

from clients.app_sdk.errors import CloudError
from clients.network import Connect, request

CALL_S: Final = 10.0
NOT_FOUND: Final = "NOT_FOUND"

_SCHEMES: Final = {"ws": "http", "wss": "https"}


class Rest:
    """The cloud's routes, for one app.

    Args:
      socket_url: where the app's own socket goes; the routes lie beside it.
    """

    def __init__(self, socket_url: str, package_name: str, api_key: str, *, connect: Connect) -> None:
        parts = urlsplit(socket_url)
        folder = parts.path.rpartition("/")[0]  # below /o/<owner> where the socket is
        self._url = urlunsplit((_SCHEMES.get(parts.scheme, parts.scheme), parts.netloc, folder, "", ""))
        self._key = f"{package_name}:{api_key}"
        self._connect = connect

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Ask for one route.

        Args:
          path: from `/api` on, quoted, with its query.
          body: sent as JSON; None sends nothing.

        Returns:
          What the JSON of the answer holds.

        Raises:
          CloudError: the cloud refused.
          OSError: it was not reached, or did not answer within 10 s (TimeoutError).
        """
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        sent = b"" if body is None else msgspec.json.encode(body)
        try:
            with trio.fail_after(CALL_S):
                answer = await request(
                    method, self._url + path, connect=self._connect, headers=headers, body=sent
                )
        except trio.TooSlowError as error:
            raise TimeoutError(f"{method} {path}: no answer within {CALL_S:g} s") from error
        try:
            told = msgspec.json.decode(answer.body)
        except msgspec.DecodeError as error:
            raise CloudError(f"{method} {path}: status {answer.status}, and no JSON", None) from error
        if answer.status >= 400:
            known = told if isinstance(told, Mapping) else {}
            said = known.get("message") or known.get("error") or f"status {answer.status}"
            raise CloudError(str(said), known.get("code"))
        return told


class Storage:
    """What the app keeps for one wearer: texts under keys, there again in the next session.

    Each value may have 100 KB, all together 1 MB. Every call may raise what `Rest.call` raises.
    """

    def __init__(self, rest: Rest, user_id: str) -> None:
        self._rest = rest
        self._path = f"/api/sdk/simple-storage/{quote(user_id, safe='')}"

    async def get(self, key: str) -> str | None:
        """The value under `key`; None where there is none."""
        try:
            answer = await self._rest.call("GET", self._of(key))
        except CloudError as error:
            if error.code == NOT_FOUND:
                return None
            raise
        return str(answer["data"])

    async def all(self) -> dict[str, str]:
        """Every key with its value."""
        answer = await self._rest.call("GET", self._path)
        return dict(answer["data"])

    async def set(self, key: str, value: str) -> None:
        """Put a value; kept when it returns."""
        await self._rest.call("PUT", self._of(key), {"value": value})

    async def delete(self, key: str) -> None:
        """Remove a value; one that is not there is no error."""
        await self._rest.call("DELETE", self._of(key))

    async def clear(self) -> None:
        """Remove every value."""
        await self._rest.call("DELETE", self._path)

    def _of(self, key: str) -> str:
        return f"{self._path}/{quote(key, safe='')}"
