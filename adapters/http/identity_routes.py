"""Who is who: core tokens for a provider's, and the tokens that take a wearer to an app's web page.

A core token is its user's, so nothing here says anything of another one. The hash with an app's key is the
delicate one: that of a user's id is a login (protocol.md 3.6), and that of an address makes the app's server
send its key there. So only the caller's id and this server's own addresses are hashed.
"""

from __future__ import annotations

import hashlib

from actors.cabinet.messages import issue_ticket, redeem_ticket
from actors.directory import find_app
from actors.identity_ports import ProviderAway
from actors.ports import AppDocument, TokenError
from adapters.http.application import json_response
from adapters.http.desk import Desk
from adapters.http.routes import Call, Caller, Failure, Route, Routes
from protocols import identity
from protocols.error_codes import ErrorCode

OWN = "the caller's own identity"

EXCHANGE = Route(
    "POST",
    "/auth/exchange-token",
    Caller.ANYBODY,
    "the identity of who the provider's token is of",
    "A core token for a token of the identity provider.",
    request=identity.ProviderToken,
    answer=identity.CoreTokenAnswer,
    also=("/api/auth/exchange-token",),
    statuses=(401, 503),
)
WEBVIEW_TOKEN = Route(
    "POST",
    "/api/auth/generate-webview-token",
    Caller.USER,
    OWN,
    "A token for an app's web page, good once and for a minute.",
    request=identity.AppNamed,
    answer=identity.TemporaryToken,
    statuses=(503,),
)
SIGNED_TOKEN = Route(
    "POST",
    "/api/auth/generate-webview-signed-user-token",
    Caller.USER,
    OWN,
    "A signed token (RS256) for an app's web page, good for ten minutes.",
    request=identity.AppNamed,
    answer=identity.SignedToken,
    statuses=(503,),
)
HASH = Route(
    "POST",
    "/api/auth/hash-with-api-key",
    Caller.USER,
    "the caller's own id, and this server's addresses; no other text is hashed",
    "The checksum that an app's web page compares: of the cloud's address, or of the caller's id.",
    request=identity.HashQuestion,
    answer=identity.HashAnswer,
    statuses=(403, 503),
)
EXCHANGE_USER_TOKEN = Route(
    "POST",
    "/api/auth/exchange-user-token",
    Caller.APP,
    "the identity of who was given the token for the caller's own web page",
    "The user of a single-use token, for the app server whose page it came to.",
    request=identity.TokenRedeemed,
    answer=identity.UserShown,
    statuses=(401, 503),
)
PUBLIC_KEYS = Route[None](
    "GET",
    "/.well-known/jwks.json",
    Caller.ANYBODY,
    "public keys",
    "The key that signed tokens are checked with.",
    answer=identity.PublicKeys,
)

ROUTES = (EXCHANGE, WEBVIEW_TOKEN, SIGNED_TOKEN, HASH, EXCHANGE_USER_TOKEN, PUBLIC_KEYS)


def identity_routes(desk: Desk) -> Routes:
    """Their views."""
    routes = Routes("identity", desk)

    async def exchange(call: Call[identity.ProviderToken]) -> identity.CoreTokenAnswer:
        given = call.body
        provider, token = "supabase", given.supabase_token
        if token is None:
            provider, token = "authing", given.authing_token
        if token is None:
            raise Failure(400, ErrorCode.INVALID_REQUEST, "No token provided: supabaseToken or authingToken")
        try:
            email = await desk.identity.email_of(provider, token)
            return identity.CoreTokenAnswer(core_token=desk.tokens.mint(email, expires_s=desk.token_s))
        except (TokenError, ValueError) as error:
            cause = error.cause if isinstance(error, TokenError) else str(error)
            desk.telemetry.warning("token_exchange_refused", provider=provider, cause=cause)
            raise Failure(401, ErrorCode.INVALID_TOKEN, "Invalid token") from error
        except ProviderAway as error:
            desk.telemetry.warning("identity_provider_away", provider=provider, cause=str(error))
            message = "The identity provider cannot be asked now"
            raise Failure(503, ErrorCode.TRY_AGAIN, message, retry_after_s=error.retry_after_s) from error

    async def webview_token(call: Call[identity.AppNamed]) -> identity.TemporaryToken:
        app = await known(call.body.package_name)
        token = desk.webviews.fresh_token()
        await desk.cabinet.ask(issue_ticket(token, call.user_id, app.package_name))
        return identity.TemporaryToken(token=token)

    async def signed_token(call: Call[identity.AppNamed]) -> identity.SignedToken:
        app = await known(call.body.package_name)
        frontend_token = f"{call.user_id}:{_hash(app, call.user_id)}"
        return identity.SignedToken(token=await desk.webviews.sign(call.user_id, frontend_token))

    async def hash_with_key(call: Call[identity.HashQuestion]) -> identity.HashAnswer:
        app = await known(call.body.package_name)
        text = call.body.string_to_hash
        if text.lower() != call.user_id and text.rstrip("/") not in (desk.urls.public, desk.urls.internal):
            message = "only the caller's own id and this server's addresses are hashed"
            raise Failure(403, ErrorCode.PERMISSION_DENIED, message)
        return identity.HashAnswer(hash=_hash(app, text))

    async def exchange_user_token(call: Call[identity.TokenRedeemed]) -> object:
        app = call.caller_app
        if call.body.package_name != app.package_name:
            raise Failure(401, ErrorCode.INVALID_API_KEY, "Invalid API key")
        user_id = await desk.cabinet.ask(redeem_ticket(call.body.aos_temp_token, app.package_name))
        if user_id is None:
            # `error` is what the SDK shows of it.
            raise Failure(401, ErrorCode.INVALID_TOKEN, "The token is not good, or was used, or is too old")
        return identity.UserShown(user_id=user_id)

    async def public_keys(call: Call[None]) -> object:
        return json_response(await desk.webviews.public_keys())

    async def known(package_name: str) -> AppDocument:
        app = await desk.directory.ask(find_app(package_name))
        if app is None:
            raise Failure(400, ErrorCode.PACKAGE_NOT_FOUND, "App not found")
        return app

    routes.serve(EXCHANGE, exchange)
    routes.serve(WEBVIEW_TOKEN, webview_token)
    routes.serve(SIGNED_TOKEN, signed_token)
    routes.serve(HASH, hash_with_key)
    routes.serve(EXCHANGE_USER_TOKEN, exchange_user_token)
    routes.serve(PUBLIC_KEYS, public_keys)
    return routes


def _hash(app: AppDocument, text: str) -> str:
    """sha256 of the text and the hash of the app's key, which the app's server makes too."""
    return hashlib.sha256(f"{text}{app.hashed_api_key}".encode("utf-8", "surrogatepass")).hexdigest()
