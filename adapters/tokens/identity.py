"""Whose token an identity provider's is (protocol.md 3.1): HS256 with a secret that it shares with us, or
RS256 and ES256 with the public keys that it shows.

Its claims are checked as those of our own core tokens are; it always has to expire.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from actors.ports import TokenError
from adapters.tokens.claims import INVALID, ClaimRules
from adapters.tokens.core_tokens import Signatures
from adapters.tokens.provider_keys import ProviderKeys


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one.

    Attributes:
      secret: empty where it shares none.
      keys: None where it shows none.
      audience, issuer: what its tokens must name; None does not look.
    """

    secret: str = ""
    keys: ProviderKeys | None = None
    audience: str | None = None
    issuer: str | None = None


class ProviderTokens:
    """Checks the tokens of identity providers.

    Args:
      providers: by name; one without a secret and without keys is none of ours.
      wall: epoch seconds.
    """

    def __init__(self, providers: Mapping[str, Provider], *, wall: Callable[[], float]) -> None:
        self._providers = {name: one for name, one in providers.items() if one.secret or one.keys}
        self._wall = wall

    async def email_of(self, provider: str, token: str) -> str:
        """The lower-cased address that the token names.

        Raises:
          TokenError: it is not good, has no expiry, or nobody is known by that name.
          ProviderAway: whether it is good cannot be told now.
        """
        known = self._providers.get(provider)
        if known is None:
            raise TokenError(
                INVALID, f"neither a secret nor keys of the identity provider {provider} are set"
            )
        rules = ClaimRules(audience=known.audience, issuer=known.issuer, must_expire=True, wall=self._wall)
        return rules.user_of(await _claims_of(known, token))


async def _claims_of(provider: Provider, token: str) -> Mapping[str, object]:
    """Where there are both, the secret first: it costs nothing to look."""
    if provider.keys is None:
        return Signatures((provider.secret,)).claims_of(token)
    if provider.secret:
        try:
            return Signatures((provider.secret,)).claims_of(token)
        except TokenError:
            pass  # then it is one of the provider's keys
    return await provider.keys.claims_of(token)
