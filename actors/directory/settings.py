"""Patience of the directory."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class DirectorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How old an answer may be, and how gently the sessions of an app server are sent back to it.

    Attributes:
      catalogue_s: the catalogue is read again when what is known is older. `glasshouse app` promises that a
        running server sees a change within 0.2 s.
      silence_s: an app server that just did not answer a probe is not probed again for so long, however many
        sessions ask; half of `lifecycle.probe_s`.
      wake_spread_s: the sessions of an app server that is back are told over so long, so that it meets no
        storm: half of the second in which all of them are to be back.
      wake_every_s: time between two lots of them.
      wake_at_least: a lot is no smaller, so that few sessions are told at once.
    """

    catalogue_s: Annotated[float, Meta(ge=0)] = 0.1
    silence_s: Annotated[float, Meta(ge=0)] = 0.1
    wake_spread_s: Annotated[float, Meta(ge=0)] = 0.5
    wake_every_s: Annotated[float, Meta(gt=0)] = 0.02
    wake_at_least: Annotated[int, Meta(ge=1)] = 8
