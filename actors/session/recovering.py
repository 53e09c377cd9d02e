"""After a crash: what the session asks of its neighbours, and tells one of them that has crashed.

A crash loses the message that was being handled, and what its actor had asked for. What may hang on that is
said again: all of it is idempotent, so whoever had heard it does nothing.
"""

from __future__ import annotations

import abc
from typing import Any

from protocols import close_codes
from runtime import Ref

from ..apps.lifecycle import Phase
from ..apps.messages import AwaitApp, Begin, EndSession, PhonePresence, Report, StopAnnounced
from ..display.messages import Surroundings
from ..link.messages import Resync
from .running import Running
from .state import ACTIVE, LEAVING, AppEntry, standard_app


class Recovering(Running):
    """Knows who may have missed what."""

    @abc.abstractmethod
    def _end(self) -> None: ...

    def _ask_around(self) -> None:
        """The session has crashed: have everybody say again where they stand, and go on with what was under
        way.
        """
        self.near.link.tell(Resync(self.state.phone))
        for stream in self.state.streams.values():
            self.watch(stream.ref)
        for translation in self.state.translations.values():
            self.watch(translation)
        for entry in self.state.apps.values():
            self.watch(entry.ref)
            entry.ref.tell(Report())
        for package_name in self.state.starting:
            if package_name not in self.state.apps:
                self._look_up(package_name)
        self._route()
        self._boot()
        self._save(again=True)  # what was to be stored again, or the answer, may be what is lost
        self._announce()
        if self.state.is_ending:
            self._end()

    def _neighbour_back(self, neighbour: Ref[Any], *, is_clean: bool) -> None:
        """Tell a neighbour that has crashed what it ought to know."""
        if neighbour is self.near.audio:
            self._tell_audio()
        elif neighbour is self.near.display:
            apps = tuple(p for p, entry in self.state.apps.items() if entry.phase not in LEAVING)
            is_here = self.state.acked is not None and self.state.acked == self.state.phone
            self.near.display.tell(Surroundings(is_here, apps, standard_app(self.state)))
        else:
            for language, stream in self.state.streams.items():
                if stream.ref is neighbour:
                    self._tell_stream(language)
            for pair, translation in self.state.translations.items():
                if translation is neighbour:
                    self._tell_translation(pair)
            for package_name, entry in self.state.apps.items():
                if entry.ref is neighbour:
                    if is_clean and entry.phase in ACTIVE:
                        self._have_dialled_again(entry)
                    self._tell_app(package_name, entry)

    def _have_dialled_again(self, entry: AppEntry) -> None:
        """The app's actor has forgotten its connection. The SDK dials again and finds itself awaited."""
        if entry.connection is not None:
            close = close_codes.SERVER_RESTARTING
            self.perform(entry.connection.close, close.code, close.reason)
        entry.ref.tell(AwaitApp())

    def _tell_app(self, package_name: str, entry: AppEntry) -> None:
        entry.ref.tell(self._glasses_known())
        entry.ref.tell(self._settings_known(entry.app))
        entry.ref.tell(PhonePresence(is_present=self.state.phone is not None))
        if entry.is_farewell_told:
            entry.ref.tell(StopAnnounced())
        elif self.state.is_ending:
            entry.ref.tell(EndSession("session_ended"))
        elif package_name in self.state.stopping:
            entry.ref.tell(EndSession("user_disabled"))
        elif entry.phase is Phase.CONNECTING:
            entry.ref.tell(Begin())
