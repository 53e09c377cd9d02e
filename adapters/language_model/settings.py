"""How Anthropic's models are used."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class AnthropicSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Its key is `anthropic_api_key`, its address `anthropic_base_url`.

    Attributes:
      model: which of its models is asked where the asker names none. The smallest: it answers soonest.
      connect_s: a connection that is not open by then has failed.
      connections: requests at once; one more fails at once, as overloaded.
    """

    model: Annotated[str, Meta(min_length=1)] = "claude-haiku-4-5"
    connect_s: Annotated[float, Meta(gt=0)] = 3.0
    connections: Annotated[int, Meta(ge=1)] = 64
