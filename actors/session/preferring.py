"""What the wearer prefers, as the session has it: settings of the system and of the apps, the home screen.

The cabinet keeps it (`actors/cabinet`); here it is told on: to apps and phone at once (protocol.md 9.1, 9.3),
to an app that starts with its ack.
"""

from __future__ import annotations

import abc

from msgspec.structs import replace

from protocols import system_settings

from ..apps.messages import SettingsKnown
from ..apps.settings_of import settings_of
from ..cabinet.preferences import Preferences
from ..ports import AppDocument
from . import wire
from .translations import Translations

BYPASS_VAD = "bypassVad"


class Preferring(Translations):
    """Keeps everybody in step with what the wearer prefers."""

    @abc.abstractmethod
    def _want_microphone(self, *, is_transient: bool = False) -> None: ...
    @abc.abstractmethod
    def _announce(self, *, is_answer: bool = False, error: str | None = None) -> None: ...

    def _prefer(self, preferences: Preferences) -> None:
        """From now on this holds; what is older than what is known does not."""
        before = self.state.preferences
        if preferences.version <= before.version:
            return
        settings = wire.system_settings_of(self.state)
        bypassed = self._bypasses_vad()
        self.state = replace(self.state, preferences=preferences)
        self._tell_settings()
        if wire.system_settings_of(self.state) != settings:
            self._to_phone(wire.settings_update(self.state, self._stamp()))
        if self._bypasses_vad() is not bypassed:
            self._want_microphone()
        if _home_screen(preferences) != _home_screen(before):
            self._announce(is_answer=True)  # the phone fetches its list of apps again

    def _bypasses_vad(self) -> bool:
        """Whether the wearer wants the microphone heard without the phone's voice detector."""
        return system_settings.for_apps(self.state.preferences.system).get(BYPASS_VAD) is True

    def _tell_settings(self) -> None:
        for entry in self.state.apps.values():
            entry.ref.tell(self._settings_known(entry.app))

    def _settings_known(self, app: AppDocument) -> SettingsKnown:
        stored = self.state.preferences.apps.get(app.package_name, {})
        return SettingsKnown(settings_of(app.settings_schema, stored), wire.system_settings_of(self.state))


def _home_screen(preferences: Preferences) -> tuple[set[str], set[str]]:
    return set(preferences.installed), set(preferences.uninstalled)
