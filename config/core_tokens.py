"""The tokens of this server: one way to make them, for the server and for `glasshouse user`."""

from __future__ import annotations

import time
from collections.abc import Callable

from adapters.tokens import ConsoleKeys, CoreTokens, Revocations
from config.data_directory import jwt_secret
from config.settings import Settings


def console_keys(settings: Settings) -> ConsoleKeys:
    """What the console signs with. Raises as `core_tokens`."""
    return ConsoleKeys((jwt_secret(settings), *settings.former_jwt_secrets))


def core_tokens(
    settings: Settings, *, wall: Callable[[], float] = time.time, revocations: Revocations | None = None
) -> CoreTokens:
    """The `Tokens` port as the settings want it.

    Args:
      wall: epoch seconds.
      revocations: what was taken back, where somebody reads that from the store.

    Raises:
      DataDirectoryError: no secret was given, and none can be read or made.
    """
    return CoreTokens(
        (jwt_secret(settings), *settings.former_jwt_secrets),
        audience=settings.token_audience or None,
        issuer=settings.token_issuer or None,
        must_expire=settings.must_tokens_expire,
        wall=wall,
        revocations=revocations,
    )
