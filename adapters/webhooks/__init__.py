"""The HTTP this cloud calls on app servers: the `Webhooks` port over httpx. Read `client.py`."""

from __future__ import annotations

from adapters.webhooks.client import BODY_LIMIT_BYTES, HttpWebhooks
from adapters.webhooks.settings import WebhookSettings

__all__ = ["BODY_LIMIT_BYTES", "HttpWebhooks", "WebhookSettings"]
