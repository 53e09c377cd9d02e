"""How identity providers' tokens are checked."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class IdentitySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Identity providers whose users get core tokens (`POST /auth/exchange-token`).

    Attributes:
      supabase_keys_url: where the provider shows the public keys that its tokens are signed with (a JWKS),
        for tokens in RS256 or ES256; empty: only `supabase_secret` counts.
      supabase_audience: refuse a token of it whose `aud` is another one; empty does not look.
      supabase_issuer: refuse a token of it whose `iss` is another one; empty does not look.
      authing_keys_url: as `supabase_keys_url`, of the second provider.
      authing_audience: as `supabase_audience`, of the second provider.
      authing_issuer: as `supabase_issuer`, of the second provider.
      keys_s: keys are fetched again after so long; a token of a key that is not known asks for them sooner.
      keys_timeout_s: how long the provider has to show them.
      keys_stale_s: keys are used for so long where it does not.
    """

    supabase_keys_url: str = ""
    supabase_audience: str = ""
    supabase_issuer: str = ""
    authing_keys_url: str = ""
    authing_audience: str = ""
    authing_issuer: str = ""
    keys_s: Annotated[float, Meta(ge=1)] = 600.0
    keys_timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0
    keys_stale_s: float = 86_400.0
