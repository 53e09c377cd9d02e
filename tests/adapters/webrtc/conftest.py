from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.adapters.webrtc.conformance", "tests.adapters.webrtc.rig")
