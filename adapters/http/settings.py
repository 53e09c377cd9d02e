"""What phones and app servers are told of versions."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Version = Annotated[str, Meta(pattern=r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$")]


class VersionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What phones and SDKs compare themselves with.

    Attributes:
      phone_required: a phone app that is older refuses to start (generation C asks for 2.1.16).
      phone_recommended: one that is older asks its wearer to bring it up to date.
      sdk_required: an app server with an older SDK is told that it is too old.
      sdk_latest: one with an older SDK is told that there is a newer one.
    """

    phone_required: Version = "2.1.16"
    phone_recommended: Version = "2.2.7"
    sdk_required: Version = "2.1.0"
    sdk_latest: Version = "2.1.29"
