"""Recorded offers of a browser, and what a stranger might make of them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

_HERE = Path(__file__).parent


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8").replace("\n", "\r\n")


AUDIO = _read("chromium_audio.sdp")
VIDEO = _read("chromium_video.sdp")
LINES = AUDIO.splitlines()
HIDDEN = [f"{separator}a=candidate:1 1 udp 1 10.0.0.1 5000 typ host" for separator in "\n\v\f\x1c\x85\u2028"]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A browser's offer with some of its lines gone, doubled, moved, cut or changed."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["gone", "doubled", "moved", "cut", "changed", "other"])):
            case "gone":
                del lines[at]
            case "doubled":
                lines.insert(at, lines[at])
            case "moved":
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
            case "cut":
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case "changed":
                word = draw(
                    st.sampled_from(["0", "-1", "99999999999", "*", "\x00", "é", "::1", " ", "opus", *HIDDEN])
                )
                parts = lines[at].split(" ")
                parts[draw(st.integers(0, len(parts) - 1))] = word
                lines[at] = " ".join(parts)
            case _:
                lines[at] = draw(st.text(max_size=60))
        if not lines:
            return ""
    return "\r\n".join(lines)
