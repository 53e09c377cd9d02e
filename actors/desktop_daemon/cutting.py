"""A result that is too large keeps its beginning and its end."""

from __future__ import annotations

HEAD_BYTES = 64 * 1024
SMALLEST_BYTES = 1024


def cut_result(text: str, limit_bytes: int) -> str:
    """`text`, or its head and tail with a line between them that says how much is missing.

    The head takes 64 KiB of the default limit of 256, the same share of a smaller one (desktop.md 12.8).

    Args:
      limit_bytes: of the answer in UTF-8; less than 1 KiB counts as 1 KiB.
    """
    limit_bytes = max(limit_bytes, SMALLEST_BYTES)
    whole = text.encode("utf-8", "replace")
    if len(whole) <= limit_bytes:
        return whole.decode()
    room = limit_bytes - 64
    head_bytes = min(HEAD_BYTES, room // 4)
    head = whole[:head_bytes].decode("utf-8", "ignore")
    tail = whole[len(whole) - (room - head_bytes) :].decode("utf-8", "ignore")
    missing = len(whole) - len(head.encode()) - len(tail.encode())
    return f"{head}\n[... {missing} bytes left out ...]\n{tail}"
