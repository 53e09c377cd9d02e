"""Patience of the directory."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class DirectorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How old an answer may be, and how gently many sessions are sent to one app server.

    Attributes:
      catalogue_s: the catalogue is read again when what is known is older. `glasshouse app` promises that a
        running server sees a change within 0.2 s.
      silence_s: an app server that just did not answer a probe is not probed again for so long, however many
        sessions ask; half of `lifecycle.probe_s`.
      webhooks_at_once: when more sessions than this want to post a webhook to one app server within `lot_s`,
        the others wait in line. 8 in 0.02 s are 400 a second.
      lot_s: time between two lots of webhooks.
      line_s: nobody waits in line for longer: lots grow with the line. Half of the second in which all
        sessions of an app server are to be back.
    """

    catalogue_s: Annotated[float, Meta(ge=0)] = 0.1
    silence_s: Annotated[float, Meta(ge=0)] = 0.1
    webhooks_at_once: Annotated[int, Meta(ge=1)] = 8
    lot_s: Annotated[float, Meta(gt=0)] = 0.02
    line_s: Annotated[float, Meta(ge=0)] = 0.5
