"""Limits of the calls to app servers."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How many calls to app servers run at once, and how long a connection to one is kept.

    Attributes:
      calls: POSTs at once. An app server answers a start only after the app's whole onSession, so a call may
        hold its place for seconds (protocol.md 4.4).
      calls_per_host: POSTs at once to one host and port; half of all, so that one hanging host leaves the
        other half.
      probes: probes at once, a quarter of them to one host; they have places of their own, since they are
        sent when a host is in trouble.
      idle_s: how long an unused connection is kept. Node and hypercorn close theirs after 5 s; 2 s keeps
        clear of sending into a connection that is just being closed.
    """

    calls: Annotated[int, Meta(ge=1)] = 512
    calls_per_host: Annotated[int, Meta(ge=1)] = 256
    probes: Annotated[int, Meta(ge=1)] = 64
    idle_s: float = 2.0
