"""Apps that are part of this server: how they stand in the catalogue, and how their webhooks reach them.

The one thing that tells them from others is their address, `built-in:<package>`, which no operator can give
an app: their webhooks are asked of an actor instead of posted. All else about them is as with any app.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from runtime import Ref, ReplyTo, RuntimeFailure

from .ports import NO_HEADERS, AppDocument, ProbeOutcome, WebhookAnswer, WebhookError, Webhooks

if TYPE_CHECKING:
    from .soga.messages import ServerMessage

SCHEME: Final = "built-in:"


def is_built_in(app: AppDocument) -> bool:
    """Whether the app is part of this server: what it knew of its sessions has ended with the last one."""
    return app.public_url.startswith(SCHEME)


class WebhookPosted(msgspec.Struct, frozen=True):
    """A webhook, to the server of a built-in app. Answered as over HTTP."""

    body: bytes
    reply_to: ReplyTo[WebhookAnswer]


class BuiltInWebhooks:
    """`actors.ports.Webhooks`: those of built-in apps to their server's actor, all others on.

    Args:
      server: of the app at `url`; there is one such app.
    """

    def __init__(self, others: Webhooks, url: str, server: Ref[ServerMessage]) -> None:
        self._others = others
        self._url = url
        self._server = server

    async def post(
        self, url: str, body: bytes, *, timeout_s: float, headers: Mapping[str, str] = NO_HEADERS
    ) -> WebhookAnswer:
        if not url.startswith(self._url):
            return await self._others.post(url, body, timeout_s=timeout_s, headers=headers)
        try:
            return await self._server.ask(lambda reply: WebhookPosted(body, reply), timeout_s=timeout_s)
        except RuntimeFailure as error:
            raise WebhookError("refused", url, str(error)) from error

    async def probe(self, url: str, *, timeout_s: float) -> ProbeOutcome:
        if not url.startswith(self._url):
            return await self._others.probe(url, timeout_s=timeout_s)
        return ProbeOutcome.ANSWERS if self._server.is_alive else ProbeOutcome.REFUSED

    async def aclose(self) -> None:
        await self._others.aclose()
