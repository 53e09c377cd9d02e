from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.adapters.storage.conformance")
pytest.register_assert_rewrite("tests.adapters.storage.document_conformance")
