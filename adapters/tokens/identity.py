"""Whose token an identity provider's is: HS256 with a secret that it shares with us (protocol.md 3.1).

It is checked as our own core tokens are, but for its audience: a provider writes that for its own purposes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actors.ports import TokenError
from adapters.tokens.core_tokens import INVALID, CoreTokens


class ProviderTokens:
    """Checks the tokens of identity providers.

    Args:
      secrets: by the provider's name; one without a secret, or with an empty one, is none of ours.
      wall: epoch seconds.
    """

    def __init__(self, secrets: Mapping[str, str], *, wall: Callable[[], float]) -> None:
        self._providers = {
            name: CoreTokens((secret,), must_expire=True, wall=wall)
            for name, secret in secrets.items()
            if secret
        }

    def email_of(self, provider: str, token: str) -> str:
        """The lower-cased address that the token names.

        Raises:
          TokenError: it is not good, has no expiry, or nobody is known by that name.
        """
        if provider not in self._providers:
            raise TokenError(INVALID, f"no secret of the identity provider {provider} is set")
        return self._providers[provider].verify(token)
