"""The journal: commits acknowledged documents, several callers' changes in one transaction."""

from __future__ import annotations

from .actor import Commit, CommitDone, CommitFailed, Journal, JournalMessage, StorageWellbeing

__all__ = ["Commit", "CommitDone", "CommitFailed", "Journal", "JournalMessage", "StorageWellbeing"]
