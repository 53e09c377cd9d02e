"""Core tokens: JWTs signed with HS256 and a secret of the server (protocol.md 3.1, settled in 13.1).

pyjwt checks the signature; the claims are checked here, because the clock is injected, and because pyjwt
takes for expiry whatever `int()` takes. A token or a secret never appears in an error: who logs one gives it
away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import jwt
import msgspec

from actors.ports import TokenError

INVALID: Final = "Invalid core token"
NO_USER_ID: Final = "Invalid core token - no user ID"
LEEWAY_S: Final = 60.0
LATEST_S: Final = 1e12  # the year 33658; integers of JSON may be of any size, and floats do not take them

_ALGORITHM: Final = "HS256"  # and no other: neither none nor a public-key one, whose key would be our secret
_CLAIMS: Final = msgspec.json.Decoder(dict[str, object])


class CoreTokens:
    """`actors.ports.Tokens`.

    Args:
      secrets: the first signs; all are tried when a token is verified, so that an old one can be phased out.
      audience, issuer: what `aud` and `iss` must name; None ignores the claim.
      must_expire: demand `exp`; clouds A to C mint tokens without it.
      wall: epoch seconds.
    """

    def __init__(
        self,
        secrets: Sequence[str],
        *,
        audience: str | None = None,
        issuer: str | None = None,
        must_expire: bool = False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        assert secrets, "at least one secret is needed"
        self._secrets = tuple(secret.encode() for secret in secrets)
        self._audience = audience
        self._issuer = issuer
        self._must_expire = must_expire
        self._wall = wall
        self._signatures = jwt.PyJWS(algorithms=[])
        self._signatures.register_algorithm(_ALGORITHM, _Hs256(jwt.algorithms.HMACAlgorithm.SHA256))

    def verify(self, token: str) -> str:
        """The lower-cased user id of a good token: its `email`, or its `sub` where `email` is absent.

        Raises:
          TokenError: with the wire's text (protocol.md 1.1) as `message`, and in `cause` why, for the log.
        """
        claims = self._signed_claims(token)
        self._check_times(claims)
        if self._audience is not None:
            named = claims.get("aud")
            if self._audience not in (named if isinstance(named, list) else [named]):
                raise TokenError(INVALID, f"aud does not name {self._audience}")
        if self._issuer is not None and claims.get("iss") != self._issuer:
            raise TokenError(INVALID, f"iss is not {self._issuer}")
        return _user_id(claims)

    def mint(self, email: str, *, expires_s: float | None) -> str:
        """A token for `email`.

        Args:
          expires_s: seconds from now until it expires; None never, as the real clouds do.

        Raises:
          ValueError: this server would refuse the token: `email` is no user id, it demands an expiry, or this
            one is too far away.
        """
        if expires_s is None and self._must_expire:
            raise ValueError("this server takes only tokens that expire; give an expiry")
        now = int(self._wall())
        claims: dict[str, object] = {"sub": email, "email": email, "iat": now}
        if expires_s is not None:
            expires = now + round(expires_s)
            if expires > LATEST_S:
                raise ValueError(
                    f"an expiry in {expires_s:g} s is too far away; the latest that a server reads is"
                    f" {LATEST_S:g} s after 1970"
                )
            claims["exp"] = expires
        if self._audience is not None:
            claims["aud"] = self._audience
        if self._issuer is not None:
            claims["iss"] = self._issuer
        try:
            claims["email"] = _user_id(claims)
        except TokenError as error:
            raise ValueError(f"{email!r} cannot be a user: {error.cause}") from error
        return self._signatures.encode(msgspec.json.encode(claims), self._secrets[0], algorithm=_ALGORITHM)

    def _signed_claims(self, token: str) -> Mapping[str, object]:
        for secret in self._secrets:
            try:
                payload = self._signatures.decode(token, secret, algorithms=[_ALGORITHM])
                return _CLAIMS.decode(payload)
            except jwt.InvalidSignatureError:
                continue
            except (jwt.InvalidTokenError, msgspec.MsgspecError, RecursionError, ValueError) as error:
                # RecursionError: pyjwt reads the header, however deep, before it checks the signature
                raise TokenError(INVALID, f"not a token: {type(error).__name__}") from error
        raise TokenError(INVALID, "the signature is not ours")

    def _check_times(self, claims: Mapping[str, object]) -> None:
        now = self._wall()
        expires, not_before, issued = (_time(claims, name) for name in ("exp", "nbf", "iat"))
        if expires is None and self._must_expire:
            raise TokenError(INVALID, "it has no exp, and this server demands one")
        if expires is not None and expires <= now - LEEWAY_S:
            raise TokenError(INVALID, f"it expired {now - expires:.0f} s ago")
        if not_before is not None and not_before > now + LEEWAY_S:
            raise TokenError(INVALID, f"it is not good before {not_before - now:.0f} s from now")
        if issued is not None and issued > now + LEEWAY_S:
            raise TokenError(INVALID, f"it was issued {issued - now:.0f} s in the future")


class _Hs256(jwt.algorithms.HMACAlgorithm):
    """HS256 without pyjwt's looks at the secret: which ones are good enough is for config to say.

    Whether it might be a public key (half the price of a verification) matters where a token may choose among
    algorithms; here there is one.
    """

    def prepare_key(self, key: str | bytes) -> bytes:
        return key if isinstance(key, bytes) else key.encode()

    def check_key_length(self, key: bytes) -> str | None:
        return None


def _time(claims: Mapping[str, object], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > LATEST_S:
        raise TokenError(INVALID, f"{name} is no time")
    return value


def _user_id(claims: Mapping[str, object]) -> str:
    name = "sub" if claims.get("email") is None else "email"
    value = claims.get(name)
    if not isinstance(value, str) or not value.strip():
        raise TokenError(NO_USER_ID, f"{name} is absent or no text")
    if not value.isprintable():
        raise TokenError(NO_USER_ID, f"{name} has characters that cannot be printed")
    return value.lower()
