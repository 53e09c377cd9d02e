"""How speech is translated: how often, how patiently, and what happens when nobody translates."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class TranslationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The timers and limits of translation streams.

    Attributes:
      model: the language model that translates, by its provider's name; empty means `anthropic.model`.
      partials: translate what is being said as well; without it there are translations of finals only.
      partial_s: an unfinished piece is translated again so long after the last time at the earliest. Each is
        a request that is paid for, and people read no faster.
      at_once: requests of one pair that run at the same time; finals go before what is unfinished.
      deadline_s: a final whose translation has not come by then goes out as it was spoken.
      attempts: a final is tried so often within that time.
      retry_s: the wait before it is tried again, doubled each time, where the translator asks for no other.
      waiting_most: finals that wait for their translation; past it the oldest goes out as it was spoken.
      pause_after: after so many failures in a row nothing is asked for a while; at once where the key is
        refused or has no credits.
      pause_first_s: that while, the first time; it doubles until a translation comes.
      pause_most_s: the longest of them.
      cache: translations that are kept for pieces that are said again, of all wearers together; 0 keeps none.
    """

    model: str = ""
    partials: bool = True
    partial_s: Annotated[float, Meta(gt=0)] = 1.0
    at_once: Annotated[int, Meta(ge=1)] = 2
    deadline_s: Annotated[float, Meta(gt=0)] = 5.0
    attempts: Annotated[int, Meta(ge=1)] = 2
    retry_s: Annotated[float, Meta(gt=0)] = 0.3
    waiting_most: Annotated[int, Meta(ge=1)] = 8
    pause_after: Annotated[int, Meta(ge=1)] = 3
    pause_first_s: Annotated[float, Meta(gt=0)] = 5.0
    pause_most_s: Annotated[float, Meta(gt=0)] = 60.0
    cache: Annotated[int, Meta(ge=0)] = 256
