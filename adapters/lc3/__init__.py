"""LC3, the codec of the glasses, by Google's liblc3: the implementation of `actors.ports.Lc3`."""

from __future__ import annotations

from .codec import Lc3Codec

__all__ = ["Lc3Codec"]
