"""Which of the microphone's audio a recogniser needs: what is said, with what belongs to it on both sides.

A phone that detects voices says so (`VAD`) and sends little else. Many send all the time and never say a word
(protocol.md 7.4): after `own_after_s` of audio without a report our own detector decides. Then silence is
withheld, for it costs money at a provider, and a recogniser hears the last moment of it before a voice
(`pre_roll_s`: no first syllable is lost) and the first moment behind one (`hold_s`: its own end-pointing).
Whoever decides, a pause is told, so that a final need not wait for the recogniser to be sure of it.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ..ports import VoiceDetector

_BYTES_A_MS: Final = 32
_SLACK_MS: Final = 30  # a detector hears whole frames and counts in them
_IN_NOISE: Final = 2  # times as long is a pause where the voice does not stand out: soft syllables hide


class VoiceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the silence between words.

    Attributes:
      withhold: no silence goes to the recognisers of phones that do not detect voices themselves.
      own_after_s: a phone that has sent so much audio without a VAD message is one of those, until the next.
      pre_roll_s: so much audio before a voice is heard with it.
      hold_s: and so much behind it. A recogniser needs 0.3 s to see an end; 1 s also lets Deepgram's
        UtteranceEnd see its gap.
      pause_s: so much silence ends an utterance, and its final is asked for. Twice that where the voice
        hardly stands out of the noise.
    """

    withhold: bool = True
    own_after_s: Annotated[float, Meta(ge=0)] = 5.0
    pre_roll_s: Annotated[float, Meta(ge=0.1, le=5)] = 0.6
    hold_s: Annotated[float, Meta(ge=0.3, le=60)] = 1.0
    pause_s: Annotated[float, Meta(ge=0.1, le=10)] = 0.3


class Verdict(enum.Enum):
    """What becomes of some audio."""

    SPEECH = "speech"  # a recogniser hears it, and all that waits before it
    SILENCE = "silence"  # it waits for a voice, and is withheld when none comes


class VoiceGate:
    """One microphone's, on its way to one recogniser. The audio is its clock.

    Attributes:
      is_open: the last audio was speech, or close to it.
      is_voice: somebody spoke in the last audio.
    """

    def __init__(self, detector: VoiceDetector, settings: VoiceSettings) -> None:
        self.is_open = True
        self.is_voice = False
        self._detector = detector
        self._settings = settings
        self._unreported_ms = 0.0
        self._heard_ms = 0.0
        self._voiced_until_ms = 0.0
        self._has_spoken = False  # since the pause before

    def reported(self) -> None:
        """The phone has sent a VAD message: it decides what it sends, for a while."""
        self._unreported_ms = 0.0

    def hear(self, pcm: bytes) -> tuple[Verdict, bool]:
        """Some more audio: what becomes of it, and whether a pause has just become one.

        Whoever gets the pause may finish the utterance: it is told once, after a voice.
        """
        settings = self._settings
        heard = self._detector.hear(pcm)
        length_ms = len(pcm) / _BYTES_A_MS
        self._unreported_ms += length_ms
        self._heard_ms += length_ms
        quiet_ms = heard.quiet_ms
        self.is_voice = self._heard_ms - quiet_ms > self._voiced_until_ms + _SLACK_MS
        if self.is_voice:
            self._voiced_until_ms = self._heard_ms - quiet_ms
            self._has_spoken = True
        needed_ms = settings.pause_s * 1000 * (1 if heard.is_clear else _IN_NOISE)
        has_paused = self._has_spoken and quiet_ms >= needed_ms
        if has_paused:
            self._has_spoken = False
        is_own = settings.withhold and self._unreported_ms > settings.own_after_s * 1000
        self.is_open = not is_own or quiet_ms - length_ms < settings.hold_s * 1000
        return Verdict.SPEECH if self.is_open else Verdict.SILENCE, has_paused
