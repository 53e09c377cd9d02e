"""Patience of the assistant's voice."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class SogaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The assistant's app on the glasses, and how it listens and shows.

    Attributes:
      enabled: the app is in the catalogue, and a wearer can start it.
      package_name: its package.
      api_key: its key. Empty makes one at each start, which is best: nobody outside needs it.
      wake_phrase: what opens a question, two words or more. Empty leaves that to the button: then nothing is
        listened to until it is pressed, or something is asked.
      language: what its wearers speak, as in `transcription:en-US`.
      listen_s: an opened question to which nothing is said is closed again after so long.
      pause_s: a question is over when nothing more is said for so long after the recogniser's final words.
      stale_s: the same where the recogniser has not made its words final.
      question_s: no question takes longer.
      follow_up_s: after an answer was read, a question needs no wake phrase for so long; 0 switches it off.
        A question of the assistant's own waits for its answer three times as long.
      conversation_s: an answer that came later than this after its question opens no such window: its wearer
        may be talking to somebody by then.
      update_s: least time between two displays of progress; an approval does not wait.
      progress_s: how long one of them stays.
      read_least_s: how long an answer stays at least.
      read_cps: how many characters a second a wearer reads, which makes it longer.
      approve_after_s: the button and the head allow nothing that has not been on the lens for so long.
      nod_s: two nods within so long allow it.
    """

    enabled: bool = False
    package_name: Annotated[str, Meta(min_length=3)] = "com.mentra.soga"
    api_key: Annotated[str, Meta(extra={"secret": True})] = ""
    wake_phrase: str = "hey glasshouse"
    language: Annotated[str, Meta(pattern=r"^(auto|[a-z]{2,3}(-[A-Z]{2})?)$")] = "en-US"
    listen_s: Annotated[float, Meta(gt=0)] = 8.0
    pause_s: Annotated[float, Meta(gt=0)] = 1.0
    stale_s: Annotated[float, Meta(gt=0)] = 2.5
    question_s: Annotated[float, Meta(gt=0)] = 60.0
    follow_up_s: float = 5.0
    conversation_s: float = 30.0
    update_s: float = 0.3
    progress_s: Annotated[float, Meta(gt=0)] = 10.0
    read_least_s: Annotated[float, Meta(gt=0)] = 4.0
    read_cps: Annotated[float, Meta(gt=0)] = 14.0
    approve_after_s: Annotated[float, Meta(ge=1.0)] = 1.0
    nod_s: Annotated[float, Meta(gt=0)] = 2.0
