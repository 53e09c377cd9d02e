"""The dashboard view: sections of the dashboard app, and one line of each app that has one (protocol.md 6.7).

Plain functions from one `Dashboard` to the next, and `compose`, which makes its layout. In mode `main` the
wearer sees one app's line and turns to the next by raising the head; an app that rewrites its line does not
push away the one the wearer turned to.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from .cards import BLANK, double_text_wall, text_wall
from .state import Dashboard

MODES = frozenset({"main", "expanded"})
SECTIONS = frozenset({"topLeft", "topRight", "bottomLeft", "bottomRight"})
NO_EXPANDED_CONTENT = "No expanded content available"

Contents = tuple[tuple[str, str], ...]


def with_section(dashboard: Dashboard, section: str, content: str) -> Dashboard:
    if section not in SECTIONS or dashboard.sections.get(section, "") == content:
        return dashboard
    return replace(dashboard, sections={**dashboard.sections, section: content})


def with_content(dashboard: Dashboard, package: str, content: str, modes: Iterable[str]) -> Dashboard:
    """Put the app's line first in each mode it is meant for; an empty one goes away."""
    for mode in modes:
        if mode == "main":
            dashboard = replace(dashboard, main=_first(dashboard.main, package, content))
        elif mode == "expanded":
            dashboard = replace(dashboard, expanded=_first(dashboard.expanded, package, content))
    return dashboard


def without_app(dashboard: Dashboard, package: str) -> Dashboard:
    return with_content(dashboard, package, "", MODES)


def turned(dashboard: Dashboard) -> Dashboard:
    """Turn to the line after the one that is shown, if there is more than one."""
    if dashboard.mode != "main" or len(dashboard.main) < 2:
        return dashboard
    packages = [package for package, _ in dashboard.main]
    shown = packages.index(dashboard.turned_to) if dashboard.turned_to in packages else 0
    return replace(dashboard, turned_to=packages[(shown + 1) % len(packages)])


def compose(dashboard: Dashboard) -> msgspec.Raw:
    """The layout of the dashboard as it stands."""
    top_left, top_right, bottom_left, bottom_right = (
        dashboard.sections.get(name, "") for name in ("topLeft", "topRight", "bottomLeft", "bottomRight")
    )
    if dashboard.mode == "expanded":
        content = dashboard.expanded[0][1] if dashboard.expanded else NO_EXPANDED_CONTENT
        return text_wall(f"{top_left} | {top_right}\n{content}")
    line = dict(dashboard.main).get(dashboard.turned_to or "", "")
    if not line and dashboard.main:
        line = dashboard.main[0][1]
    if not (top_left or top_right or bottom_left or bottom_right or line):
        return BLANK
    right = f"{top_right}\n{bottom_right}"
    return double_text_wall(f"{top_left}\n{bottom_left}", f"{right}\n\n{line}" if line else right)


def _first(contents: Contents, package: str, content: str) -> Contents:
    others = tuple(item for item in contents if item[0] != package)
    return ((package, content), *others) if content else others
