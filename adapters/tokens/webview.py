"""What an app's web page is shown of its wearer: RS256 tokens, and the public key that checks them (3.6).

The key is read, or made, when the first token is signed: making one takes a tenth of a second of a worker
thread. Signing takes about a millisecond.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final

import jwt
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

KEY_ID: Final = "v1"
ISSUER: Final = "https://prod.augmentos.cloud"  # the SDK takes no other (protocol.md 3.6)
GOOD_FOR_S: Final = 600
KEY_BITS: Final = 2048


class WebviewSigner:
    """Signs who a wearer is.

    Args:
      load: the private key as PEM; called once, in a worker thread.
      wall: epoch seconds.
    """

    def __init__(self, load: Callable[[], bytes], *, wall: Callable[[], float]) -> None:
        self._load = load
        self._wall = wall
        self._lock = trio.Lock()
        self._key: RSAPrivateKey | None = None

    def fresh_token(self) -> str:
        """64 random hexadecimal digits."""
        return secrets.token_hex(32)

    async def sign(self, user_id: str, frontend_token: str) -> str:
        """A token that says who the wearer is, for ten minutes from now.

        Raises:
          OSError, ValueError: the key cannot be read or made.
        """
        key = await self._private_key()
        now = int(self._wall())
        claims = {
            "sub": user_id,
            "iss": ISSUER,
            "iat": now,
            "exp": now + GOOD_FOR_S,
            "frontendToken": frontend_token,
        }
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": KEY_ID})

    async def public_keys(self) -> dict[str, object]:
        """The JWKS of what `sign` signs with (RFC 7517)."""
        numbers = (await self._private_key()).public_key().public_numbers()
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID}
        return {"keys": [{**key, "n": _base64url(numbers.n), "e": _base64url(numbers.e)}]}

    async def _private_key(self) -> RSAPrivateKey:
        async with self._lock:
            if self._key is None:
                self._key = await trio.to_thread.run_sync(lambda: _parsed(self._load()))
            return self._key


def make_key() -> bytes:
    """A fresh private key as PEM."""
    key = generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(private_pem: bytes) -> bytes:
    """The public half, as the SDK wants it in `MENTRAOS_CLOUD_USER_TOKEN_PUBLIC_KEY`.

    Raises:
      ValueError: it is no RSA key.
    """
    return (
        _parsed(private_pem)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _parsed(pem: bytes) -> RSAPrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("the key of the web views is no RSA key")
    return key


def _base64url(number: int) -> str:
    length = (number.bit_length() + 7) // 8
    return urlsafe_b64encode(number.to_bytes(length)).rstrip(b"=").decode()
