"""The daemon's reports, over HTTP."""

from __future__ import annotations

from collections.abc import Callable

from actors.desktop_daemon.ports import ReportAnswer, ReportError

from .http import NoAnswerError, ServerHttp
from .server import REPORTS_PATH


class ServerReports:
    """`actors.desktop_daemon.ports.Reports`.

    Args:
      token: the present one; asked for each report, since a login may exchange it.
    """

    def __init__(self, http: ServerHttp, token: Callable[[], str]) -> None:
        self._http = http
        self._token = token

    async def post(self, route: str, body: bytes) -> ReportAnswer:
        """POST a report. Raises ReportError where nobody answered."""
        try:
            answer = await self._http.request("POST", REPORTS_PATH + route, body, token=self._token())
        except NoAnswerError as error:
            raise ReportError(str(error)) from error
        return ReportAnswer(answer.status, answer.retry_after_s)
