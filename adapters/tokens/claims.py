"""What the claims of a token say, once its signature is good: whose it is, and whether it holds now.

Checked here and not by pyjwt, because the clock is injected, and because pyjwt takes for a time whatever
`int()` takes. No token ever appears in an error: who logs one gives it away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from actors.ports import TokenError

INVALID: Final = "Invalid core token"
NO_USER_ID: Final = "Invalid core token - no user ID"
LEEWAY_S: Final = 60.0
LATEST_S: Final = 1e12  # the year 33658; integers of JSON may be of any size, and floats do not take them

CLAIMS: Final = msgspec.json.Decoder(dict[str, object])


class ClaimRules:
    """Which claims are demanded.

    Args:
      audience, issuer: what `aud` and `iss` must name; None ignores the claim.
      must_expire: demand `exp`.
      wall: epoch seconds.
    """

    def __init__(
        self, *, audience: str | None, issuer: str | None, must_expire: bool, wall: Callable[[], float]
    ) -> None:
        self.audience = audience
        self.issuer = issuer
        self.must_expire = must_expire
        self.wall = wall

    def user_of(self, claims: Mapping[str, object]) -> str:
        """The lower-cased user id: `email`, or `sub` where `email` is absent.

        Raises:
          TokenError: with the wire's text (protocol.md 1.1) as `message`, and in `cause` why, for the log.
        """
        self.check_times(claims)
        if self.audience is not None:
            named = claims.get("aud")
            if self.audience not in (named if isinstance(named, list) else [named]):
                raise TokenError(INVALID, f"aud does not name {self.audience}")
        if self.issuer is not None and claims.get("iss") != self.issuer:
            raise TokenError(INVALID, f"iss is not {self.issuer}")
        return user_id(claims)

    def check_times(self, claims: Mapping[str, object]) -> None:
        """Raises TokenError unless it is good now."""
        now = self.wall()
        expires, not_before, issued = (time_of(claims, name) for name in ("exp", "nbf", "iat"))
        if expires is None and self.must_expire:
            raise TokenError(INVALID, "it has no exp, and this server demands one")
        if expires is not None and expires <= now - LEEWAY_S:
            raise TokenError(INVALID, f"it expired {now - expires:.0f} s ago")
        if not_before is not None and not_before > now + LEEWAY_S:
            raise TokenError(INVALID, f"it is not good before {not_before - now:.0f} s from now")
        if issued is not None and issued > now + LEEWAY_S:
            raise TokenError(INVALID, f"it was issued {issued - now:.0f} s in the future")


def time_of(claims: Mapping[str, object], name: str) -> float | None:
    """A claim that is a time, as epoch seconds; None where it is absent.

    Raises:
      TokenError: it is something else.
    """
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > LATEST_S:
        raise TokenError(INVALID, f"{name} is no time")
    return value


def text_of(claims: Mapping[str, object], name: str) -> str | None:
    """A claim that is a text; None where it is absent or something else."""
    value = claims.get(name)
    return value if isinstance(value, str) else None


def user_id(claims: Mapping[str, object]) -> str:
    """Whose claims these are, lower-cased.

    Raises:
      TokenError: nobody's.
    """
    name = "sub" if claims.get("email") is None else "email"
    value = claims.get(name)
    if not isinstance(value, str) or not value.strip():
        raise TokenError(NO_USER_ID, f"{name} is absent or no text")
    if not value.isprintable():
        raise TokenError(NO_USER_ID, f"{name} has characters that cannot be printed")
    return value.lower()
