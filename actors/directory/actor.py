"""App catalogue with a short memory, and whether app servers answer.

The administration commands change the store from another process, and a running server must see a change 200
ms later at most. So an answer is kept for `max_age_s` (100 ms): long enough that a thousand starts of one app
are one read, short enough to keep the promise. Callers that ask while a read is under way share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from runtime import Actor, ReplyTo, RestartInfo

from ..ports import AppDocument, Store, Webhooks


class FindApp(msgspec.Struct, frozen=True):
    """Answer with the app's document, or None; fails with StorageError when the store cannot answer."""

    package_name: str
    reply_to: ReplyTo[AppDocument | None]


class ListApps(msgspec.Struct, frozen=True):
    """Answer with all apps, ordered by package name."""

    reply_to: ReplyTo[tuple[AppDocument, ...]]


def find_app(package_name: str) -> Callable[[ReplyTo[AppDocument | None]], FindApp]:
    """What an ask for one app is made with."""
    return lambda reply_to: FindApp(package_name, reply_to)


class ProbeServer(msgspec.Struct, frozen=True):
    """Answer whether an app server answers at `url`. Everybody who asks while a probe is out shares it."""

    url: str
    reply_to: ReplyTo[bool]


class _Probed(msgspec.Struct, frozen=True):
    url: str
    is_up: bool


class _Read(msgspec.Struct, frozen=True):
    apps: tuple[AppDocument, ...]


class _ReadFailed(msgspec.Struct, frozen=True):
    error: Exception


DirectoryMessage = FindApp | ListApps | ProbeServer | _Probed | _Read | _ReadFailed


class Catalogue(msgspec.Struct, frozen=True):
    apps: Mapping[str, AppDocument] = {}
    read_at: float = float("-inf")
    waiting: tuple[FindApp | ListApps, ...] = ()
    probes: Mapping[str, tuple[ReplyTo[bool], ...]] = {}


class Directory(Actor[DirectoryMessage]):
    """Reads the catalogue from the store when what it knows is too old."""

    mailbox_size = 16_384

    def __init__(
        self, *, store: Store, webhooks: Webhooks, max_age_s: float = 0.1, probe_timeout_s: float = 2.0
    ) -> None:
        self.store = store
        self.webhooks = webhooks
        self.probe_timeout_s = probe_timeout_s
        self.max_age_s = max_age_s
        self.state = Catalogue()

    def started(self, restart: RestartInfo | None) -> None:
        if self.state.waiting:
            self._read()
        for url in self.state.probes:
            self._probe(url)

    def receive(self, message: DirectoryMessage) -> None:
        if isinstance(message, ProbeServer):
            is_first = message.url not in self.state.probes
            askers = (*self.state.probes.get(message.url, ()), message.reply_to)
            self.state = msgspec.structs.replace(
                self.state, probes={**self.state.probes, message.url: askers}
            )
            if is_first:
                self._probe(message.url)
        elif isinstance(message, _Probed):
            for asker in self.state.probes[message.url]:
                asker.tell(message.is_up)
            rest = {url: askers for url, askers in self.state.probes.items() if url != message.url}
            self.state = msgspec.structs.replace(self.state, probes=rest)
        elif isinstance(message, _Read):
            waiting = self.state.waiting
            self.state = Catalogue(
                {app.package_name: app for app in message.apps}, self.now, probes=self.state.probes
            )
            for question in waiting:
                self._answer(question)
        elif isinstance(message, _ReadFailed):
            waiting = self.state.waiting
            self.state = msgspec.structs.replace(self.state, waiting=())
            for question in waiting:
                question.reply_to.fail(message.error)
        elif not self.state.waiting and self.now - self.state.read_at <= self.max_age_s:
            self._answer(message)
        else:
            is_first = not self.state.waiting
            self.state = msgspec.structs.replace(self.state, waiting=(*self.state.waiting, message))
            if is_first:
                self._read()

    def _answer(self, question: FindApp | ListApps) -> None:
        if isinstance(question, FindApp):
            question.reply_to.tell(self.state.apps.get(question.package_name))
        else:
            question.reply_to.tell(tuple(self.state.apps.values()))

    def _probe(self, url: str) -> None:
        self.start(self._is_up, url, then=lambda is_up: _Probed(url, is_up), name="probe")

    async def _is_up(self, url: str) -> bool:
        return await self.webhooks.probe(url, timeout_s=self.probe_timeout_s)

    def _read(self) -> None:
        self.start(self.store.list_apps, then=_Read, failed=_ReadFailed, name="read catalogue")
