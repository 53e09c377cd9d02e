"""The public keys of an identity provider, as it shows them (JWKS, RFC 7517).

They are fetched when the first token needs them and kept. A provider that cannot be reached is asked less and
less often, and its last keys count for a day; a token of an unknown key asks for the keys anew, but no more
than once in ten seconds, whoever sends how many of them.

What a key is good for is decided by the key: RS256 for RSA, ES256 for P-256. A token's own word for it is
compared and never followed, and a shared secret that a provider shows by mistake is no key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import jwt
import msgspec
import trio
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from actors.identity_ports import ProviderAway
from actors.ports import TokenError
from adapters.tokens.claims import CLAIMS, INVALID
from adapters.tokens.settings import IdentitySettings

ALGORITHMS: Final = ("RS256", "ES256")
LEAST_RSA_BITS: Final = 2048  # RFC 7518 section 3.3
ASK_AGAIN_S: Final = 10.0
LONGEST_PAUSE_S: Final = 300.0

Fetch = Callable[[str, float], Awaitable[object]]


class Asked(msgspec.Struct, frozen=True):
    """When a provider was asked for its keys, on a clock that never goes back.

    Attributes:
      at: the last time, whatever came of it.
      worked_at: when it last answered.
      failures: how often in a row it did not.
    """

    at: float = float("-inf")
    worked_at: float = float("-inf")
    failures: int = 0

    def again_at(self) -> float:
        """When it may be asked again: 10 s after an answer, and 1, 2, 4, ... 300 s after a failure."""
        if not self.failures:
            return self.at + ASK_AGAIN_S
        return self.at + min(2.0 ** min(self.failures - 1, 20), LONGEST_PAUSE_S)

    def is_due(self, now: float, keys_s: float, *, is_known: bool) -> bool:
        """Whether to ask now.

        Args:
          keys_s: how old keys may be.
          is_known: there is the key that is needed.
        """
        is_needed = not is_known or now - self.worked_at >= keys_s
        return is_needed and now >= self.again_at()


class ProviderKeys:
    """The keys of one provider.

    Args:
      url: where it shows them.
      now: seconds that never go back.
      fetch: reads what is there within so many seconds.
    """

    def __init__(
        self,
        url: str,
        settings: IdentitySettings,
        *,
        now: Callable[[], float] = trio.current_time,
        fetch: Fetch | None = None,
    ) -> None:
        self._url = url
        self._settings = settings
        self._now = now
        self._fetch = fetch or _fetch
        self._lock = trio.Lock()
        self._asked = Asked()
        self._keys: Mapping[str | None, tuple[str, Any]] = {}
        self._jws = jwt.PyJWS(algorithms=list(ALGORITHMS))

    async def claims_of(self, token: str) -> Mapping[str, object]:
        """What a token of the provider says.

        Raises:
          TokenError: it is not the provider's, or no token.
          ProviderAway: the keys cannot be had.
        """
        try:
            key_id = self._jws.get_unverified_header(token).get("kid")
            algorithm, key = await self._key(key_id)
            return CLAIMS.decode(self._jws.decode(token, key, algorithms=[algorithm]))
        except (jwt.InvalidTokenError, msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise TokenError(INVALID, f"not a token of the provider: {type(error).__name__}") from error

    async def _key(self, key_id: str | None) -> tuple[str, Any]:
        async with self._lock:
            if self._asked.is_due(
                self._now(), self._settings.keys_s, is_known=self._find(key_id) is not None
            ):
                await self._ask()
        now = self._now()
        if now - self._asked.worked_at > self._settings.keys_stale_s:
            raise ProviderAway(
                "the identity provider does not show its keys",
                retry_after_s=max(1.0, self._asked.again_at() - now),
            )
        found = self._find(key_id)
        if found is None:
            raise TokenError(INVALID, "the identity provider has no such key")
        return found

    def _find(self, key_id: str | None) -> tuple[str, Any] | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    async def _ask(self) -> None:
        """Bounded by `keys_timeout_s`, also where the provider sends its answer drop by drop."""
        timeout_s = self._settings.keys_timeout_s
        asked = msgspec.structs.replace(self._asked, at=self._now())
        keys = None
        with trio.move_on_after(timeout_s):
            try:
                keys = keys_of(await self._fetch(self._url, timeout_s))
            except (jwt.PyJWTError, OSError, ValueError):
                keys = None
        if keys:
            self._keys = keys
            self._asked = msgspec.structs.replace(asked, worked_at=self._now(), failures=0)
        else:
            self._asked = msgspec.structs.replace(asked, failures=asked.failures + 1)


def keys_of(said: object) -> dict[str | None, tuple[str, Any]]:
    """The keys of a JWKS that can be used, by their ids, each with the algorithm that it is good for."""
    listed = said.get("keys") if isinstance(said, dict) else None
    found: dict[str | None, tuple[str, Any]] = {}
    for one in listed if isinstance(listed, list) else ():
        algorithm = _algorithm_of(one)
        if algorithm is None:
            continue
        try:
            key = jwt.PyJWK(one, algorithm).key
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        if _is_good_enough(key):
            found[one.get("kid")] = algorithm, key
    return found


def _is_good_enough(key: object) -> bool:
    """A public key, and none that is easily broken."""
    if isinstance(key, RSAPublicKey):
        return key.key_size >= LEAST_RSA_BITS
    return isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)


def _algorithm_of(one: object) -> str | None:
    if not isinstance(one, dict) or one.get("use", "sig") != "sig":
        return None
    if not isinstance(one.get("kid"), str | None):
        return None
    algorithm = {"RSA": "RS256", "EC": "ES256"}.get(str(one.get("kty")))
    return algorithm if one.get("alg", algorithm) == algorithm else None


async def _fetch(url: str, timeout_s: float) -> object:
    """Raises jwt.PyJWTError where nobody answers with JSON. Reads in a worker thread."""
    client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=timeout_s)
    return await trio.to_thread.run_sync(client.fetch_data, abandon_on_cancel=True)
