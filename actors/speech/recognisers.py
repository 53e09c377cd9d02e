"""How well each recogniser is, by the experience of all streams: a circuit breaker for each.

What happens to one stream of a recogniser is a hint for the others: a key without credits fails every one of
them, a network that is down too. So failures in a row of all streams together, or one that says how long it
will last, keep everybody from opening another for a while; then one stream tries. A provider is one key
(`adapters.speech.deepgram`), so a breaker is for a provider and key.

The streams of all sessions share it. It is plain memory and no actor: reading it is part of a decision, and
what is told to it happens when the teller commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from ..ports import Telemetry
from .settings import SpeechSettings

_AT_ONCE: Final = frozenset({"auth", "quota", "rate"})
_MOST_DOUBLINGS: Final = 10


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """One recogniser's breaker.

    Attributes:
      failures: in a row, since a stream last said something or the breaker opened.
      pauses: in a row.
      paused_at: when the last of them began.
      free_at: no stream of it is opened before.
      cause: the kind of the last failure.
    """

    failures: int = 0
    pauses: int = 0
    paused_at: float = 0.0
    free_at: float = 0.0
    cause: str = ""


def failed(health: Health, kind: str, retry_after_s: float, now: float, settings: SpeechSettings) -> Health:
    """A stream of it failed."""
    health = replace(health, failures=health.failures + 1, cause=kind)
    is_trial = health.pauses > 0
    if kind not in _AT_ONCE and health.failures < settings.breaker_failures and not is_trial:
        return health
    doublings = min(health.pauses, _MOST_DOUBLINGS)
    pause_s = min(settings.breaker_most_s, settings.breaker_pause_s * 2.0**doublings)
    if kind in _AT_ONCE:
        pause_s = max(pause_s, retry_after_s)
    free_at = max(health.free_at, now + pause_s)
    return replace(health, failures=0, pauses=health.pauses + 1, paused_at=now, free_at=free_at)


def tried(health: Health, now: float, settings: SpeechSettings) -> Health:
    """A stream of it is opened. After a pause it is the trial, and the others wait for its outcome."""
    return replace(health, free_at=now + settings.trial_s) if health.pauses else health


def heard(health: Health, opened_at: float) -> Health:
    """A stream of it says something. One from before the pause proves nothing about new ones."""
    return replace(health, failures=0) if health.pauses and opened_at < health.paused_at else Health()


class Recognisers:
    """The breakers of all recognisers, by name."""

    def __init__(self, settings: SpeechSettings, telemetry: Telemetry) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._health: dict[str, Health] = {}

    def free_at(self, name: str) -> float:
        """From when a stream of it may be opened."""
        health = self._health.get(name)
        return 0.0 if health is None else health.free_at

    def is_well(self, name: str) -> bool:
        """Whether nothing is held against it."""
        return name not in self._health

    def view(self) -> Mapping[str, Health]:
        """Those that are not well."""
        return self._health

    def failed(self, name: str, kind: str, retry_after_s: float, now: float) -> None:
        before = self._health.get(name, Health())
        after = self._health[name] = failed(before, kind, retry_after_s, now, self._settings)
        if after.pauses > before.pauses:
            pause_s = round(after.free_at - now, 1)
            self._telemetry.warning("speech_provider_paused", provider=name, cause=kind, pause_s=pause_s)

    def tried(self, name: str, now: float) -> None:
        health = self._health.get(name)
        if health is not None:
            self._health[name] = tried(health, now, self._settings)

    def heard(self, name: str, opened_at: float) -> None:
        health = self._health.get(name)
        if health is None:
            return
        after = heard(health, opened_at)
        if after == Health():
            del self._health[name]
            if health.pauses:
                self._telemetry.info("speech_provider_back", provider=name)
        else:
            self._health[name] = after
