"""The directory: which apps exist, as the store says now, and whether their servers answer."""

from __future__ import annotations

from .actor import Directory, DirectoryMessage, FindApp, ListApps, ProbeServer, find_app

__all__ = ["Directory", "DirectoryMessage", "FindApp", "ListApps", "ProbeServer", "find_app"]
