"""What an app shows: `session.layouts`.

Nothing is awaited and nothing is acknowledged; the cloud throttles and the newest wins. What is shown while
the session is not connected is lost: the cloud keeps the last display of before.
"""

from __future__ import annotations

from collections.abc import Callable

from protocols import from_app, layouts
from protocols.layouts import DASHBOARD, MAIN, Layout


class Layouts:
    """Shows layouts. Each call returns whether the message was taken for sending.

    Args that all have: `view`, main or dashboard; `duration_ms`, after which the cloud takes it away again,
    None until it is replaced.
    """

    def __init__(self, send: Callable[[from_app.DisplayEvent], bool], package_name: str) -> None:
        self._send = send
        self._package_name = package_name

    def show_text_wall(self, text: str, duration_ms: int | None = None, *, view: str = MAIN) -> bool:
        """A block of text; the empty text clears."""
        return self.show(layouts.TextWall(text=text), duration_ms, view=view)

    def show_double_text_wall(
        self, top_text: str, bottom_text: str, duration_ms: int | None = None, *, view: str = MAIN
    ) -> bool:
        """Two blocks of text; two columns on some glasses."""
        return self.show(
            layouts.DoubleTextWall(top_text=top_text, bottom_text=bottom_text), duration_ms, view=view
        )

    def show_reference_card(
        self, title: str, text: str, duration_ms: int | None = None, *, view: str = MAIN
    ) -> bool:
        """A title and a text."""
        return self.show(layouts.ReferenceCard(title=title, text=text), duration_ms, view=view)

    def show_dashboard_card(
        self, left_text: str, right_text: str, duration_ms: int | None = None, *, view: str = DASHBOARD
    ) -> bool:
        """Two texts side by side, on the dashboard unless said otherwise."""
        return self.show(
            layouts.DashboardCard(left_text=left_text, right_text=right_text), duration_ms, view=view
        )

    def show_bitmap_view(self, data: str, duration_ms: int | None = None, *, view: str = MAIN) -> bool:
        """A BMP under 1 MB, as base64 or hex."""
        return self.show(layouts.BitmapView(data=data), duration_ms, view=view)

    def clear_view(self, *, view: str = MAIN) -> bool:
        """Take everything away."""
        return self.show(layouts.ClearView(), view=view)

    def show(
        self, layout: Layout, duration_ms: int | None = None, *, view: str = MAIN, force: bool = False
    ) -> bool:
        """Any layout; `force` asks the cloud to skip its throttle."""
        return self._send(
            from_app.DisplayEvent(
                package_name=self._package_name,
                session_id="",  # as the official SDK sends it (protocol.md 10.9)
                view=view,
                layout=layouts.to_raw(layout),
                duration_ms=duration_ms,
                force_display=force or None,
            )
        )
