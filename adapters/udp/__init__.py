"""The microphone's datagrams: the socket they come by, and what opens them."""

from __future__ import annotations

from .boxes import NaclBoxes
from .listener import UdpListener

__all__ = ["NaclBoxes", "UdpListener"]
