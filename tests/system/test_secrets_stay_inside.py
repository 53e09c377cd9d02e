"""Nothing that lets somebody in stands in a log or in an answer to somebody else, however wide the run.

A server with every secret set is used in all ways that show one, rightly and wrongly, at its most talkative;
then its log and every error that it answered are searched for each. What `glasshouse config` masks is tested
with that command.
"""

from __future__ import annotations

import json
import secrets as randomness
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt
import trio

from actors.console.ports import OneTimeLink
from actors.identity_ports import AppClaims
from adapters.tokens.webview import make_key
from clients.socket import RefusedError
from config.core_tokens import console_keys, core_tokens
from config.data_directory import SECRET_NAME
from config.settings import Settings
from tests.system.peers import RecordingApp, dialled, press_until_shown, refusal, wearer
from tests.system.server import Server

ADA, PACKAGE = "ada@example.org", "org.example.secretive"
SUPABASE = "supabase-secret-0123456789-0123456789-0123"
CONFIGURED = {
    "former_jwt_secrets": ["former-jwt-secret-0123456789-0123456789"],
    "storage_key": "storage-key-0123456789-0123456789-0123456",
    "former_storage_keys": ["former-storage-key-0123456789-0123456789"],
    "supabase_secret": SUPABASE,
    "authing_secret": "authing-secret-0123456789-0123456789-0123",
    "metrics_token": "metrics-token-0123456789-0123456789",
    "deepgram_api_key": "deepgram-key-0123456789-0123456789",
    "anthropic_api_key": "anthropic-key-0123456789-0123456789",
}


@dataclass
class Run:
    """What was used, by what it is, and what was answered to who showed it wrongly."""

    server: Server
    secrets: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    async def call(
        self, method: str, path: str, bearer: str = "", body: object = None, **headers: str
    ) -> Any:
        shown = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        answer = await self.server.request(method, path, headers={**shown, **headers}, body=data)
        if answer.status != 200 and answer.status != 201:
            self.said.append(answer.body.decode())
        return json.loads(answer.body) if answer.body[:1] in (b"{", b"[") else None


async def make_secrets(there: Run, app: RecordingApp, api_key: str) -> None:
    """Everything that a server hands out, and what it made for itself."""
    data, secrets = there.server.data, there.secrets
    secrets["token secret"] = (data / SECRET_NAME).read_text()
    secrets["admin token"] = there.server.file.admin_token
    settings = Settings(data=str(data))
    secrets["app key"] = api_key
    claims = AppClaims(PACKAGE, secrets["app key"])
    secrets["app token"] = core_tokens(settings).mint_app(claims, expires_s=60)
    secrets["core token"] = there.server.token(ADA)
    link = OneTimeLink("its id", ADA, time.time() + 60)
    secrets["console code"] = console_keys(settings).mint_link(link)
    core = secrets["core token"]
    await there.server.add_app(PACKAGE, app.url, api_key=secrets["app key"])
    secrets["provider's token"] = jwt.encode({"email": ADA, "exp": 4e9}, SUPABASE, algorithm="HS256")
    bought = await there.call(
        "POST", "/auth/exchange-token", body={"supabaseToken": secrets["provider's token"]}
    )
    secrets["exchanged token"] = bought["coreToken"]
    secrets["daemon token"] = (await there.call("POST", "/api/daemons", core, {"name": "desk"}))["token"]
    named = {"packageName": PACKAGE}
    secrets["page token"] = (await there.call("POST", "/api/auth/generate-webview-token", core, named))[
        "token"
    ]
    signed = await there.call("POST", "/api/auth/generate-webview-signed-user-token", core, named)
    secrets["signed page token"] = signed["token"]
    begun = await there.call("POST", "/api/daemons/codes", body={"name": "desk"})
    secrets["device code"] = begun["deviceCode"]


async def misuse(there: Run, name: str, secret: str) -> None:
    """Show a secret in every place where it may be shown, and in those where it may not."""
    package = {"X-Package-Name": PACKAGE, "X-API-Key": secret.replace("\n", "")}
    flat = quote(secret, safe="")
    for path in ("/api/client/apps", "/daemon-api/daemon/status", "/metrics", "/api/admin/tree", "/nothing"):
        await there.call("GET", path, flat)
        await there.call("GET", f"{path}?token={flat}&apiKey={flat}")
    await there.call("GET", f"/api/transcripts/{ADA}-{PACKAGE}?duration=1", **package)
    await there.call("GET", f"/api/sdk/simple-storage/{ADA}", f"{PACKAGE}:{flat}")
    for path, body in (
        ("/auth/exchange-token", {"supabaseToken": secret}),
        ("/api/app-server/register", {"packageName": PACKAGE, "apiKey": secret}),
        ("/api/daemons/codes/poll", {"deviceCode": secret}),
        ("/api/auth/exchange-user-token", {"aos_temp_token": secret, "packageName": PACKAGE}),
        ("/api/client/location", {"lat": secret}),
        ("/api/client/user/settings", {"settings": secret}),
    ):
        await there.call("POST", path, there.secrets["core token"], body)
        await there.call("POST", path, flat, json.dumps(body).encode()[:-1])
    form = f"token={flat}x&mark={flat}".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": there.server.url}
    await there.call("POST", "/console/login", body=form, Cookie=f"glasshouse={flat}", **headers)
    for door in ("/glasses-ws", "/app-ws", "/ws/daemon", "/no-such-door"):
        told: list[RefusedError] = []
        if door != "/app-ws" and name not in ("core token", "exchanged token"):
            told.append(await refusal(f"{there.server.url}{door}?token={flat}&email={flat}"))
        if name != "daemon token":
            headers = {"authorization": f"Bearer {flat}x", "x-user-id": ADA, "x-session-id": flat}
            told.append(await refusal(f"{there.server.url}{door}", headers))
        there.said += [error.body.decode() for error in told]
    init = {"type": "tpa_connection_init", "sessionId": f"{ADA}-{PACKAGE}", "packageName": PACKAGE}
    async with dialled(f"{there.server.url}/app-ws") as socket:
        for text in (
            f"{secret}{{",
            json.dumps({"type": "subscription_update", "subscriptions": secret}),
            json.dumps({**init, "apiKey": f"{secret}x"}),
        ):
            await socket.send(text)
        there.said.append(str(await socket.receive()))


async def use(there: Run) -> None:
    """What a day does: an app runs and answers, and actors crash under it."""
    async with wearer(there.server, ADA) as phone:
        await phone.start_app(PACKAGE)
        await press_until_shown(phone, "main")
        for actor in ("directory", "roster", f"users/{ADA}/session"):
            path = {"path": f"/glasshouse/{actor}"}
            await there.call("POST", "/api/admin/kill", there.secrets["admin token"], path)
        await press_until_shown(phone, "side")


async def test_no_secret_is_in_a_log_or_in_what_somebody_else_is_told(tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    pem = make_key().decode()
    lines = [f"{name} = {json.dumps(value)}" for name, value in CONFIGURED.items()]
    config.write_text("\n".join([*lines, f"webview_key = {json.dumps(pem)}", ""]))
    settings = (
        "log_level=debug",
        "log_interval_s=0",
        "admin.allow_kill=true",
        "speech_provider=none",
        "rates.failures=0",
        "display.boot_screen_s=0.1",
    )
    with Server.start(tmp_path, *settings, config=config) as server:
        there, api_key = Run(server), randomness.token_hex(32)
        app = RecordingApp(PACKAGE, api_key)
        async with trio.open_nursery() as running:
            await running.start(app.run)
            await make_secrets(there, app, api_key)
            async with trio.open_nursery() as nursery:
                for name, secret in {**there.secrets, "provider's secret": SUPABASE}.items():
                    nursery.start_soon(misuse, there, name, secret)
            await use(there)
            running.cancel_scope.cancel()
    log = server.log()

    configured = {name: value if isinstance(value, str) else value[0] for name, value in CONFIGURED.items()}
    everything = {**there.secrets, **configured, "webview key": pem.splitlines()[3]}
    texts = {"log": log, "answers": "\n".join(there.said)}
    found = [(where, name) for where, text in texts.items() for name in told(everything, text)]
    assert [] == found
    for event in ("app_refused", "phone_refused", "daemon_refused", "rest_refused", "actor_crashed"):
        assert event in log


def told(secrets: dict[str, str], text: str) -> list[str]:
    """Which of them a text gives away."""
    return [name for name, secret in secrets.items() if secret in text or quote(secret, safe="") in text]
