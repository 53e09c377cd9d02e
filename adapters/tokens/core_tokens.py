"""Core tokens: JWTs signed with HS256 and a secret of the server (protocol.md 3.1, settled in 13.1).

pyjwt checks the signature, `claims.py` what they say, `revocations.py` whether they were taken back. A token
or a secret never appears in an error: who logs one gives it away.
"""

from __future__ import annotations

import hashlib
import secrets as randomness
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import jwt
import msgspec

from actors.identity_ports import AppClaims
from actors.ports import TokenError
from adapters.tokens.claims import (
    CLAIMS,
    INVALID,
    LATEST_S,
    LEEWAY_S,
    NO_USER_ID,
    ClaimRules,
    text_of,
    time_of,
    user_id,
)
from adapters.tokens.revocations import Revocations

__all__ = ["INVALID", "LATEST_S", "LEEWAY_S", "NO_USER_ID", "CoreTokens", "Signatures"]

NO_APP: Final = "Invalid app token"

_ALGORITHM: Final = "HS256"  # and no other: neither none nor a public-key one, whose key would be our secret
_TOKEN_ID_BYTES: Final = 16


class CoreTokens:
    """`actors.ports.Tokens`.

    Args:
      secrets: the first signs; all are good for checking, so that an old one can be phased out.
      audience, issuer: what `aud` and `iss` must name; None ignores the claim.
      must_expire: demand `exp`; clouds A to C mint tokens without it.
      wall: epoch seconds.
      revocations: what was taken back; None nothing.
      new_id: makes a token's `jti`.

    Attributes:
      revocations: whoever follows the store keeps them up to date.
    """

    def __init__(
        self,
        secrets: Sequence[str],
        *,
        audience: str | None = None,
        issuer: str | None = None,
        must_expire: bool = False,
        wall: Callable[[], float] = time.time,
        revocations: Revocations | None = None,
        new_id: Callable[[], str] = lambda: randomness.token_urlsafe(_TOKEN_ID_BYTES),
    ) -> None:
        self._signatures = Signatures(secrets)
        self._rules = ClaimRules(audience=audience, issuer=issuer, must_expire=must_expire, wall=wall)
        self.revocations = revocations or Revocations()
        self._new_id = new_id

    def verify(self, token: str) -> str:
        """The lower-cased user id of a good token: its `email`, or its `sub` where `email` is absent.

        Raises:
          TokenError: with the wire's text (protocol.md 1.1) as `message`, and in `cause` why, for the log.
        """
        claims = self._signatures.claims_of(token)
        user = self._rules.user_of(claims)
        why = self.revocations.why(user, text_of(claims, "jti"), time_of(claims, "iat"))
        if why is not None:
            raise TokenError(INVALID, why)
        return user

    def has_revoked(self, user_id: str, since_s: float) -> bool:
        """Whether what that user was given at `since_s`, epoch seconds, for a token is taken back."""
        return self.revocations.why(user_id, None, since_s) is not None

    def mint(self, email: str, *, expires_s: float | None) -> str:
        """A token for `email`.

        Args:
          expires_s: seconds from now until it expires; None never, as the real clouds do.

        Raises:
          ValueError: this server would refuse the token: `email` is no user id, it demands an expiry, or this
            one is too far away.
        """
        rules = self._rules
        claims: dict[str, object] = {"sub": email, "email": email, **self._times(expires_s)}
        if rules.audience is not None:
            claims["aud"] = rules.audience
        if rules.issuer is not None:
            claims["iss"] = rules.issuer
        try:
            claims["email"] = user_id(claims)
        except TokenError as error:
            raise ValueError(f"{email!r} cannot be a user: {error.cause}") from error
        return self._signatures.sign(claims)

    def read_app(self, token: str) -> AppClaims:
        """What an app's token says (protocol.md 3.3). A core token is none, and this is no core token.

        Raises:
          TokenError: it is not good, or says nothing of an app.
        """
        claims = self._signatures.claims_of(token)
        self._rules.check_times(claims)
        token_id = text_of(claims, "jti")
        if token_id is not None and self.revocations.has_token(token_id):
            raise TokenError(NO_APP, "it was revoked")
        package_name, api_key = text_of(claims, "packageName"), text_of(claims, "apiKey")
        if not package_name or not api_key:
            raise TokenError(NO_APP, "it names no app, or no key of it")
        return AppClaims(package_name, api_key)

    def mint_app(self, claims: AppClaims, *, expires_s: float | None) -> str:
        """A token with which an app needs nothing else. Raises ValueError as `mint`."""
        said: dict[str, object] = {"packageName": claims.package_name, "apiKey": claims.api_key}
        return self._signatures.sign({**said, **self._times(expires_s)})

    def _times(self, expires_s: float | None) -> dict[str, object]:
        """When a token is made and over, and its id."""
        if expires_s is None and self._rules.must_expire:
            raise ValueError("this server takes only tokens that expire; give an expiry")
        now = int(self._rules.wall())
        claims: dict[str, object] = {"iat": now, "jti": self._new_id()}
        if expires_s is not None:
            expires = now + round(expires_s)
            if expires > LATEST_S:
                raise ValueError(
                    f"an expiry in {expires_s:g} s is too far away; the latest that a server reads is"
                    f" {LATEST_S:g} s after 1970"
                )
            claims["exp"] = expires
        return claims


class Signatures:
    """HS256 with several secrets.

    A token that we sign names its secret (`kid`), so that of many only one is tried; one that names none of
    ours, as other clouds make them, is tried with all.

    Args:
      secrets: the first signs.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        assert secrets, "at least one secret is needed"
        keys = [secret.encode() for secret in secrets]
        self._by_id = {key_id(key): key for key in reversed(keys)}
        self._keys = tuple(keys)
        self._jws = jwt.PyJWS(algorithms=[])
        self._jws.register_algorithm(_ALGORITHM, _Hs256(jwt.algorithms.HMACAlgorithm.SHA256))

    def sign(self, claims: Mapping[str, object]) -> str:
        """A token that says this."""
        key = self._keys[0]
        return self._jws.encode(
            msgspec.json.encode(claims), key, algorithm=_ALGORITHM, headers={"kid": key_id(key)}
        )

    def claims_of(self, token: str) -> Mapping[str, object]:
        """What a token of ours says.

        Raises:
          TokenError: it is not ours, or no token.
        """
        try:
            for key in self._candidates(token):
                try:
                    payload = self._jws.decode(token, key, algorithms=[_ALGORITHM])
                except jwt.InvalidSignatureError:
                    continue
                return CLAIMS.decode(payload)
        except (jwt.InvalidTokenError, msgspec.MsgspecError, RecursionError, ValueError) as error:
            # RecursionError: pyjwt reads the header, however deep, before it checks the signature
            raise TokenError(INVALID, f"not a token: {type(error).__name__}") from error
        raise TokenError(INVALID, "the signature is not ours")

    def _candidates(self, token: str) -> Sequence[bytes]:
        if len(self._keys) == 1:
            return self._keys
        named = self._by_id.get(str(self._jws.get_unverified_header(token).get("kid")))
        return self._keys if named is None else (named,)


def key_id(key: bytes) -> str:
    """What a secret is called in a token's head: nothing that the signature beside it does not tell too."""
    return hashlib.sha256(b"glasshouse kid " + key).hexdigest()[:12]


class _Hs256(jwt.algorithms.HMACAlgorithm):
    """HS256 without pyjwt's looks at the secret: which ones are good enough is for config to say.

    Whether it might be a public key (half the price of a verification) matters where a token may choose among
    algorithms; here there is one.
    """

    def prepare_key(self, key: str | bytes) -> bytes:
        return key if isinstance(key, bytes) else key.encode()

    def check_key_length(self, key: bytes) -> str | None:
        return None
