"""The owner rule of app keys: their own package's data, of users who run the app or have installed it.

Who may not is told the same whether the user is there or not.
"""

from __future__ import annotations

from actors.cabinet.preferences import is_installed
from actors.cabinet.reading import find_preferences
from actors.ports import AppDocument
from adapters.http.desk import Desk
from adapters.http.routes import Failure
from protocols.error_codes import ErrorCode


async def reachable(desk: Desk, app: AppDocument, user_id: str) -> None:
    """Return if the app runs for the user, or they have installed it.

    Raises:
      Failure: neither is so.
      StorageError, RuntimeFailure: that cannot be told now.
    """
    facts = await desk.facts_of(user_id)
    if facts is not None and app.package_name in facts.running:
        return
    if not is_installed(await find_preferences(desk.store, user_id), app.package_name):
        desk.telemetry.warning(
            "rest_refused", package=app.package_name, cause="a user who does not run the app"
        )
        message = "the app does not run for this user, and they have not installed it"
        raise Failure(403, ErrorCode.PERMISSION_DENIED, message)
