from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.adapters.lc3.conformance")
