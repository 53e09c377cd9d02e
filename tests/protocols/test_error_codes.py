"""Every error an app can read is in the table, with all that its developer needs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocols import error_codes, to_app
from protocols.error_codes import ERRORS, ErrorCode

ROOT = Path(__file__).resolve().parents[2]
SERVER = [path for room in ("actors", "adapters", "config") for path in sorted((ROOT / room).rglob("*.py"))]
WIRE = [path for path in sorted((ROOT / "protocols").glob("*.py")) if path.name != "error_codes.py"]

SAYS_NO = {"TpaConnectionError", "ConnectionError", "PermissionError"}
"""Made by `to_app.error` and `to_app.permission_error` alone, which take a code of the table."""


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, with the last word of what is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            yield name, node


def is_wire(call: ast.Call) -> bool:
    """Whether it makes a message of `to_app`, and not a Python exception of the same name."""
    return isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "to_app"


def test_every_code_has_a_row_and_every_row_a_sentence() -> None:
    assert list(ERRORS) == list(ErrorCode)
    assert list(ErrorCode) == sorted(ErrorCode)
    for kind in ERRORS.values():
        assert kind.remedy.endswith(".")
        assert kind.meaning
        assert kind.retry_after_s is None or kind.retry_after_s > 0


def test_no_error_is_sent_whose_code_is_not_in_the_table() -> None:
    codes = {code.value for code in ErrorCode}
    for path in SERVER:
        for name, call in calls(path):
            assert not (name in SAYS_NO and is_wire(call)), f"{path}:{call.lineno}: use to_app.error"
            if name == "RefuseSocket":
                written = {each.value for each in call.args if isinstance(each, ast.Constant)}
                assert written & codes, f"{path}:{call.lineno}: the error is not in the table"
            for argument in call.keywords:
                if argument.arg == "code" and isinstance(argument.value, ast.Constant):
                    assert not isinstance(argument.value.value, str), f"{path}:{call.lineno}: use ErrorCode"


def test_every_code_of_the_table_is_sent_by_somebody() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (*SERVER, *WIRE))
    sent = set(re.findall(r"ErrorCode\.([A-Z_]+)", text)) | set(
        re.findall(r'RefuseSocket\([^)]*"([A-Z_]+)"', text)
    )

    assert {code.name for code in ErrorCode} == sent


@pytest.mark.parametrize("code", list(ErrorCode))
def test_an_error_carries_code_hop_remedy_and_when_to_retry(code: ErrorCode) -> None:
    plain = to_app.error(code, "m", "t")
    later = to_app.error(code, "m", "t", retry_after_s=2.5)

    kind = ERRORS[code]
    assert (code, kind.hop, kind.remedy, kind.retry_after_s) == (
        plain.code,
        plain.hop,
        plain.remedy,
        plain.retry_after,
    )
    assert b'"retry_after":2.5' in to_app.encode(later)
    assert (kind.retry_after_s is not None) is (b"retry_after" in to_app.encode(plain))


def test_the_time_to_retry_is_rounded_to_milliseconds() -> None:
    assert 0.333 == error_codes.details(ErrorCode.RATE_LIMITED, retry_after_s=1 / 3)["retry_after"]
