"""Property tests of this room have no deadline each: on a shared machine a pause is not a failure."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("protocols", deadline=None)
hypothesis.settings.load_profile("protocols")
