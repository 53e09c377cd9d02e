"""Whose tokens are taken besides our own, and what apps' web pages are shown of their wearers."""

from __future__ import annotations

from collections.abc import Callable

from adapters.tokens.identity import ProviderTokens
from adapters.tokens.webview import WebviewSigner, make_key
from config.data_directory import webview_key
from config.settings import Settings


def provider_tokens(settings: Settings, *, wall: Callable[[], float]) -> ProviderTokens:
    """The identity providers whose secrets are set."""
    secrets = {"supabase": settings.supabase_secret, "authing": settings.authing_secret}
    return ProviderTokens(secrets, wall=wall)


def webview_signer(settings: Settings, *, wall: Callable[[], float]) -> WebviewSigner:
    """The signer of a server; without a data directory its key is made for this process."""
    load = (lambda: webview_key(settings)) if settings.data or settings.webview_key else make_key
    return WebviewSigner(load, wall=wall)
