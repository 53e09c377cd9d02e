"""The console: pages that are rendered on the server, with a little script and no build step.

`frame` has what every page shares: templates, style, script, and the headers that keep foreign script out.
`login_routes` has the login, `guard` who a request belongs to and whether it was meant. `agent_routes` is the
page of desktop agents, `look_routes` the pages of who is connected. To add a page: a template that extends
`frame.html`, a blueprint that asks the guard.
"""

from __future__ import annotations

from adapters.http.console.house import House
from adapters.http.console.routes import Pages, console_routes

__all__ = ["House", "Pages", "console_routes"]
