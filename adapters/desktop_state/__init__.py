"""What the daemon keeps on this computer, and which of its directories agents may work in."""

from __future__ import annotations

from .credentials import Credentials, CredentialsFile
from .folder import DocumentFolder, write_whole
from .places import AllowedDirectory, AllowedPlaces

__all__ = [
    "AllowedDirectory",
    "AllowedPlaces",
    "Credentials",
    "CredentialsFile",
    "DocumentFolder",
    "write_whole",
]
