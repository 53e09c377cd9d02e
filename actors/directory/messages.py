"""What the directory hears, and what it tells the sessions of an app."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import msgspec

from runtime import Group, ReplyTo

from ..ports import AppDocument, ProbeOutcome
from .servers import ServerReport


class FindApp(msgspec.Struct, frozen=True):
    """Answer with the app's document, or None; fails with StorageError when the store cannot answer."""

    package_name: str
    reply_to: ReplyTo[AppDocument | None]


def find_app(package_name: str) -> Callable[[ReplyTo[AppDocument | None]], FindApp]:
    """What an ask for one app is made with."""
    return lambda reply_to: FindApp(package_name, reply_to)


class ListApps(msgspec.Struct, frozen=True):
    """Answer with the whole catalogue, ordered by package name; fails as `FindApp` does."""

    reply_to: ReplyTo[tuple[AppDocument, ...]]


# ---------------------------------------------------------------------------------------------------------
# App servers


def app_sessions(package_name: str) -> Group[Any]:
    """The group every session of an app joins; its members hear `ServerStarted` and `ServerRecovered`."""
    return Group(f"sessions of {package_name}")


class ServerStarted(msgspec.Struct, frozen=True):
    """To the sessions of an app: a process of its server has just started, whatever it knew is gone."""


class ServerRecovered(msgspec.Struct, frozen=True):
    """To the sessions of an app: its server answers again; whoever waits for it need not wait longer."""


class ProbeServer(msgspec.Struct, frozen=True):
    """Answer who is at `url`, of an app's server. Everybody who asks while a probe is out shares it."""

    package_name: str
    url: str
    reply_to: ReplyTo[ProbeOutcome]


def probe_server(package_name: str, url: str) -> Callable[[ReplyTo[ProbeOutcome]], ProbeServer]:
    """What an ask who is at a server's address is made with."""
    return lambda reply_to: ProbeServer(package_name, url, reply_to)


class AskPermit(msgspec.Struct, frozen=True):
    """Answer with a `Permit` or a `HeldBack`: at once, or in turn where many ask at the same time.

    Attributes:
      may_try: as `breaker.Asked` has it.
    """

    package_name: str
    may_try: bool
    reply_to: ReplyTo[Permit | HeldBack]


def ask_permit(package_name: str, *, may_try: bool) -> Callable[[ReplyTo[Permit | HeldBack]], AskPermit]:
    """What an ask for a permit is made with."""
    return lambda reply_to: AskPermit(package_name, may_try, reply_to)


class Permit(msgspec.Struct, frozen=True):
    """One webhook may be posted. Its outcome is reported once, with this era."""

    era: int


class HeldBack(msgspec.Struct, frozen=True):
    """The app's server is failing: no webhook now.

    Attributes:
      retry_after_s: when it is worth asking again.
      cause: what failed last.
      is_gone: the server was seen to be gone: its first answer to a probe ends the waiting.
    """

    retry_after_s: float
    cause: str
    is_gone: bool


class WebhookWorked(msgspec.Struct, frozen=True):
    """A webhook was answered below 500, or the app's socket came of it."""

    package_name: str
    era: int


class WebhookFailed(msgspec.Struct, frozen=True):
    """A webhook was answered with 5xx or not at all. `is_gone`: it met nobody."""

    package_name: str
    era: int
    cause: str
    is_gone: bool


class PermitUnused(msgspec.Struct, frozen=True):
    """The webhook is not wanted any more, or its outcome says nothing of the server."""

    package_name: str
    era: int


class Call(enum.Enum):
    """What an app server calls for (protocol.md 4.7)."""

    REGISTER = "register"
    HEARTBEAT = "heartbeat"
    RESTART = "restart"


class ServerCalled(msgspec.Struct, frozen=True):
    """An app server has called, with the right key. Answered with a `CallTaken`.

    A registration and a restart say the same: a process has just started, so the app's sessions are told.

    Attributes:
      webhook_url, server_urls: what it says of itself; webhooks go to the catalogue's address all the same.
    """

    package_name: str
    call: Call
    webhook_url: str
    server_urls: tuple[str, ...]
    reply_to: ReplyTo[CallTaken]


def call_server(
    package_name: str, call: Call, webhook_url: str = "", server_urls: tuple[str, ...] = ()
) -> Callable[[ReplyTo[CallTaken]], ServerCalled]:
    """What an ask on behalf of an app server is made with."""
    return lambda reply_to: ServerCalled(package_name, call, webhook_url, server_urls, reply_to)


class CallTaken(msgspec.Struct, frozen=True):
    """Attributes:
    registration_id: of the last registration; None when there was none since this server started.
    sessions: how many sessions of the app are being told.
    """

    registration_id: str | None
    sessions: int


class ListServers(msgspec.Struct, frozen=True):
    """Answer with what is known of every app server of the catalogue, ordered by package name."""

    reply_to: ReplyTo[tuple[ServerReport, ...]]


class Probed(msgspec.Struct, frozen=True):
    """A probe's outcome, from its task."""

    url: str
    outcome: ProbeOutcome


class CatalogueRead(msgspec.Struct, frozen=True):
    """The store's answer."""

    apps: tuple[AppDocument, ...]


class CatalogueNotRead(msgspec.Struct, frozen=True):
    error: Exception


class LineMoves(msgspec.Struct, frozen=True):
    """The next sessions in line for a webhook to an app's server have their turn."""

    package_name: str


DirectoryMessage = (
    FindApp
    | ListApps
    | ProbeServer
    | AskPermit
    | WebhookWorked
    | WebhookFailed
    | PermitUnused
    | ServerCalled
    | ListServers
    | Probed
    | CatalogueRead
    | CatalogueNotRead
    | LineMoves
)
