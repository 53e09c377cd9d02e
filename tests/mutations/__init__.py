"""Does each promise have a test that fails when the promise is broken? Break it and see.

A mutation is one plausible bug: a rule left out, an order turned round, a counter forgotten. Each belongs to
a promise of the table in docs/runtime.md and names the tests that must notice it:

    python -m tests.mutations             all of them, on a copy of the tree
    python -m tests.mutations timer       those with `timer` in their name or promise
    python -m tests.mutations --list      what there is

The ordinary suite only checks that this list is not stale (tests/runtime/test_mutation_list.py); running it
takes minutes.
"""

from __future__ import annotations

from .asks_and_time import ASKS_AND_TIME
from .assistants import ASSISTANTS
from .desktops import DESKTOPS
from .inspection import INSPECTION
from .mail import MAIL
from .mutation import ROOT, Mutation
from .restarts import RESTARTS
from .sessions import SESSIONS
from .supervision import SUPERVISION
from .testkit import TESTKIT
from .transactions import TRANSACTIONS
from .webrtc import WEBRTC

PROMISES: dict[str, tuple[Mutation, ...]] = {
    **TRANSACTIONS,
    **MAIL,
    **SUPERVISION,
    **RESTARTS,
    **ASKS_AND_TIME,
    **INSPECTION,
    **TESTKIT,
}

EVERY: dict[str, tuple[Mutation, ...]] = {**PROMISES, **SESSIONS, **WEBRTC, **DESKTOPS, **ASSISTANTS}
"""Those of the runtime, whose promises are in docs/runtime.md, of the sessions on it, of WebRTC, of desktops
and of assistants."""

__all__ = ["EVERY", "PROMISES", "ROOT", "Mutation"]
