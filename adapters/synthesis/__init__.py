"""Text made audible: by flite, a small program that most systems have a package of."""

from __future__ import annotations

from adapters.synthesis.flite import Flite
from adapters.synthesis.settings import FliteSettings

__all__ = ["Flite", "FliteSettings"]
