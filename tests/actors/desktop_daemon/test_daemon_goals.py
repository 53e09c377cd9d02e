"""Goals and results on their way through the daemon."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.desktop_daemon.cutting import cut_result
from actors.desktop_daemon.goals import GoalError, plain, understood
from actors.desktop_daemon.settings import AgentSettings

ALL = ("claude", "bash", "python")


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        ("mend the test", ("claude", "mend the test")),
        ("  mend\r\nthe\rtest ", ("claude", "mend\nthe\ntest")),
        ("bash: ls -la", ("bash", "ls -la")),
        ("python:  print(1)\nprint(2)", ("python", "print(1)\nprint(2)")),
        ("perl: print 1", ("claude", "perl: print 1")),
        ("bash:ls", ("claude", "bash:ls")),
        ("Note: mend it", ("claude", "Note: mend it")),
        ("a\x1b[201~\x07b\x00c\x9bd\u2028e\x7f", ("claude", "a[201~bcde")),
        ("tab\there", ("claude", "tab\there")),
    ],
)
def test_goal_says_its_adapter_or_leaves_it_to_the_desktop(goal: str, expected: tuple[str, str]) -> None:
    assert expected == understood(goal, ALL, AgentSettings())


@pytest.mark.parametrize(
    ("names", "settings", "adapter"),
    [
        (("bash", "claude"), AgentSettings(), "claude"),
        (("bash",), AgentSettings(), "bash"),
        (ALL, AgentSettings(adapter="python"), "python"),
    ],
)
def test_adapter_is_the_settings_else_claude_else_bash(
    names: tuple[str, ...], settings: AgentSettings, adapter: str
) -> None:
    assert adapter == understood("mend it", names, settings)[0]


def test_prefix_is_part_of_the_goal_where_it_may_not_choose() -> None:
    assert ("claude", "bash: ls") == understood("bash: ls", ALL, AgentSettings(by_prefix=False))


@pytest.mark.parametrize(
    ("goal", "names", "settings", "cause"),
    [
        ("", ALL, AgentSettings(), "empty"),
        (" \x1b\n", ALL, AgentSettings(), "empty"),
        ("bash: \x07", ALL, AgentSettings(by_prefix=True), None),
        ("x" * 11, ALL, AgentSettings(largest_goal=10), "longer than 10"),
        ("mend it", (), AgentSettings(), "no agent cannot run"),
        ("mend it", ("bash",), AgentSettings(adapter="claude"), "claude cannot run"),
    ],
)
def test_goal_that_nobody_can_work_on_says_why(
    goal: str, names: tuple[str, ...], settings: AgentSettings, cause: str | None
) -> None:
    if cause is None:
        assert "bash:" == understood(goal, names, settings)[1]
        return
    with pytest.raises(GoalError, match=cause):
        understood(goal, names, settings)


@given(st.text())
def test_plain_text_cannot_move_a_cursor(text: str) -> None:
    assert not {character for character in plain(text) if not character.isprintable()} & set(
        map(chr, [*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029])
    )


@given(st.text(min_size=0, max_size=6000), st.integers(0, 4000))
def test_result_keeps_within_its_limit(text: str, limit_bytes: int) -> None:
    cut = cut_result(text, limit_bytes)

    assert len(cut.encode()) <= max(limit_bytes, 1024)
    if len(text.encode("utf-8", "replace")) <= 1024:
        assert text.encode("utf-8", "replace").decode() == cut


def test_large_result_keeps_a_quarter_of_its_limit_from_the_head_and_the_rest_from_the_tail() -> None:
    cut = cut_result("h" * 300_000 + "t" * 300_000, 262_144)

    head, _, rest = cut.partition("\n[... ")
    missing, _, tail = rest.partition(" bytes left out ...]\n")
    assert ({"h"}, {"t"}) == (set(head), set(tail))
    assert (64, 191) == (round(len(head) / 1024), len(tail) // 1024)
    assert 600_000 == len(head) + len(tail) + int(missing)
