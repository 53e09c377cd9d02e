"""Whose tokens are taken besides our own, and what apps' web pages are shown of their wearers."""

from __future__ import annotations

from collections.abc import Callable

from adapters.tokens.identity import Provider, ProviderTokens
from adapters.tokens.provider_keys import ProviderKeys
from adapters.tokens.settings import IdentitySettings
from adapters.tokens.webview import WebviewSigner, make_key
from config.data_directory import webview_key
from config.settings import Settings


def provider_tokens(settings: Settings, *, wall: Callable[[], float]) -> ProviderTokens:
    """The identity providers whose secrets or keys are set."""
    identity = settings.identity
    supabase = Provider(
        secret=settings.supabase_secret,
        keys=_keys(identity.supabase_keys_url, identity),
        audience=identity.supabase_audience or None,
        issuer=identity.supabase_issuer or None,
    )
    authing = Provider(
        secret=settings.authing_secret,
        keys=_keys(identity.authing_keys_url, identity),
        audience=identity.authing_audience or None,
        issuer=identity.authing_issuer or None,
    )
    return ProviderTokens({"supabase": supabase, "authing": authing}, wall=wall)


def _keys(url: str, settings: IdentitySettings) -> ProviderKeys | None:
    return ProviderKeys(url, settings) if url else None


def webview_signer(settings: Settings, *, wall: Callable[[], float]) -> WebviewSigner:
    """The signer of a server; without a data directory its key is made for this process."""
    load = (lambda: webview_key(settings)) if settings.data or settings.webview_key else make_key
    return WebviewSigner(load, wall=wall)
