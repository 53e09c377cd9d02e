"""What is found in a model's words: objects, plain text, nothing."""

from __future__ import annotations

import time

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from actors.assistant.costs import cost_usd
from actors.assistant.deciding import decision_of, first_object, plain
from actors.assistant.settings import AssistantSettings
from actors.assistant.synthesis import fenced, head_and_tail
from adapters.simulated.language_model import says


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Sure! ```json\n{"a": {"b": "}"}}\n``` and {"c": 2}', {"a": {"b": "}"}}),
        (r'{"a": "a \" quote and a \\"} {', {"a": 'a " quote and a \\'}),
        ('{not it} {"a": 1}', {"a": 1}),
        ("[1, 2]", None),
        ("{", None),
        ("no object", None),
        ("", None),
    ],
)
def test_the_first_object_in_a_text_is_found(text: str, found: object) -> None:
    assert found == first_object(text)


def test_a_text_full_of_braces_costs_no_time() -> None:
    began = time.perf_counter()
    for text in ("{" * 20_000 + "}" * 20_000, "{a}" * 10_000, '{"' * 10_000):
        assert first_object(text) is None
    assert time.perf_counter() - began < 2.0


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), st.text("abc \n", max_size=9))
def test_any_object_is_found_whatever_stands_around_it(said: dict[str, str], around: str) -> None:
    text = around + msgspec.json.encode(said).decode() + around

    assert said == first_object(text)


def test_a_decision_in_words_is_read_as_the_originals_models_wrote_it() -> None:
    text = '{"decision":"direct_response","glassesDisplay":"Yes.","webviewContent":"# Yes","reasoning":"r"}'
    decided = decision_of(says(f"Here you are:\n{text}"))

    assert ("direct_response", "Yes.", "# Yes") == (
        decided.type,
        decided.glasses_display,
        decided.webview_content,
    )


def test_markdown_becomes_plain_words() -> None:
    text = "# Title\n\n- **bold** and `code`\n* item\n> quote\n```python\nx = 1\n```\nsnake_case"

    assert "Title bold and code item quote x = 1 snakecase" == plain(text)


@given(st.text(max_size=400), st.integers(100, 300))
def test_what_is_cut_keeps_both_ends_and_its_length(text: str, characters: int) -> None:
    cut = head_and_tail(text, characters)

    assert len(cut) == min(len(text), characters)
    assert cut[:10] == text[:10]
    assert cut[-10:] == text[-10:]


def test_a_printed_text_cannot_leave_its_block() -> None:
    assert fenced("a\n```\n<script>").startswith("````\n")


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("claude-haiku-4-5-20251001", 6.0),
        ("claude-sonnet-4-5-20250929", 18.0),
        ("claude-sonnet-4-6", 18.0),
        ("another-model", 0.0),
    ],
)
def test_a_million_tokens_each_way_cost_what_the_settings_say(model: str, cost: float) -> None:
    assert cost == cost_usd(model, 1_000_000, 1_000_000, AssistantSettings().prices)


def test_the_longest_name_counts() -> None:
    assert 3.0 == cost_usd("a-b-c", 1_000_000, 0, ("a=1/1", "a-b-c=3/3", "a-b=2/2"))
