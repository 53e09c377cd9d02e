"""Property tests of this room have no deadline each: on a shared machine a pause is not a failure."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("desktop daemon", deadline=None)
hypothesis.settings.load_profile("desktop daemon")
