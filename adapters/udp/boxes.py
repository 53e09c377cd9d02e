"""XSalsa20-Poly1305 by libsodium: the implementation of `actors.ports.SecretBoxes`."""

from __future__ import annotations


class NaclBoxes:
    """Keys and boxes. libsodium is loaded with the first key: most servers never need one."""

    def new_key(self) -> bytes:
        from nacl.secret import SecretBox
        from nacl.utils import random

        return random(SecretBox.KEY_SIZE)

    def open(self, key: bytes, sealed: bytes) -> bytes | None:
        from nacl.exceptions import CryptoError
        from nacl.secret import SecretBox

        try:
            return SecretBox(key).decrypt(sealed)
        except CryptoError:  # not of this key, or too short to hold a nonce
            return None
