"""Who may see and do what on the console's pages. Pure.

Three roles, and whoever is logged in has the last two: an operator sees and does everything; the owner of an
app sees that app's figures, over everybody who runs it, and nobody's name; a wearer sees their own session.
"""

from __future__ import annotations

import msgspec

from ..ports import AppDocument
from .sessions import ConsoleSession
from .settings import ConsoleSettings


class Viewer(msgspec.Struct, frozen=True):
    """Whoever looks at a page."""

    user_id: str
    is_operator: bool = False

    def may_see_session(self, user_id: str) -> bool:
        """A session's tree, its log, its apps; and start and stop these."""
        return self.is_operator or user_id == self.user_id

    def may_see_app(self, app: AppDocument) -> bool:
        """An app's figures and its server's health; and give it another key."""
        return self.is_operator or (bool(app.owner) and app.owner == self.user_id)


def viewer_of(session: ConsoleSession, settings: ConsoleSettings) -> Viewer:
    """Who has logged in: an operator by the setting, or by a link that says so."""
    return Viewer(session.user_id, session.is_operator or session.user_id in settings.operators)
