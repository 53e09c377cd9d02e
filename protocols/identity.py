"""Bodies of the routes that give and check identities (protocol.md 1.2, 1.3, 3.1, 3.6)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(min_length=1, max_length=8192)]


class _Camel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class ProviderToken(_Camel, frozen=True, kw_only=True):
    """POST `/auth/exchange-token`: the token of one of the two identity providers."""

    supabase_token: Text | None = None
    authing_token: Text | None = None


class CoreTokenAnswer(_Camel, frozen=True, kw_only=True):
    core_token: str


class AppNamed(_Camel, frozen=True, kw_only=True):
    """What a phone asks a web view's token for."""

    package_name: Text


class TemporaryToken(msgspec.Struct, frozen=True, kw_only=True):
    """64 hexadecimal digits, good once and for a minute."""

    token: str
    success: bool = True


class SignedToken(_Camel, frozen=True, kw_only=True):
    token: str
    expires_in: str = "10m"
    success: bool = True


class HashQuestion(_Camel, frozen=True, kw_only=True):
    """POST `/api/auth/hash-with-api-key`."""

    string_to_hash: Text
    package_name: Text


class HashAnswer(msgspec.Struct, frozen=True, kw_only=True):
    hash: str
    success: bool = True


class TokenRedeemed(msgspec.Struct, frozen=True, kw_only=True):
    """POST `/api/auth/exchange-user-token`, from an app server."""

    aos_temp_token: Text
    package_name: Text = msgspec.field(name="packageName")


class UserShown(_Camel, frozen=True, kw_only=True):
    user_id: str
    success: bool = True


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key of RFC 7517."""

    kty: str
    n: str
    e: str
    kid: str
    use: str = "sig"
    alg: str = "RS256"


class PublicKeys(msgspec.Struct, frozen=True, kw_only=True):
    """GET `/.well-known/jwks.json`."""

    keys: tuple[PublicKey, ...]
