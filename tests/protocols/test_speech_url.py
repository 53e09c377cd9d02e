"""The address of spoken text: written and read, and no other taken for it."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.speech_url import speech_url, text_of

BASE = "http://127.0.0.1:8002"
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(texts, texts)
def test_an_address_says_its_text_to_everybody_alike(text: str, ticket: str) -> None:
    url = speech_url(BASE, text, ticket)

    assert url.isascii()
    query = parse_qs(urlsplit(url).query, keep_blank_values=True, max_num_fields=2)
    assert text == query["text"][0] == text_of(url, (BASE,))
    assert [ticket] == query.get("ticket", [""])


@given(texts)
def test_what_others_write_is_read(text: str) -> None:
    assert text == text_of(f"{BASE}/api/tts?voice_id=x&text={quote(text, safe='')}&model_id=y", (BASE,))


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://127.0.0.1:8002/api/tts?text=a+b", "a b"),
        ("http://127.0.0.1:8002/api/tts?text=", ""),
        ("http://127.0.0.1:8002/api/tts?text=%zz%4", "%zz%4"),
        ("http://127.0.0.1:8002/api/tts?text=%ff", "\N{REPLACEMENT CHARACTER}"),
        ("http://127.0.0.1:8002/api/tts?text=a#b", "a"),
        ("http://127.0.0.1:8002/api/tts", None),
        ("http://127.0.0.1:8002/api/tts?voice_id=x", None),
        ("http://127.0.0.1:8002/api/tts/x?text=a", None),
        ("http://127.0.0.1:8002.evil.example/api/tts?text=a", None),
        ("http://evil.example/http://127.0.0.1:8002/api/tts?text=a", None),
        ("http://user@127.0.0.1:8002/api/tts?text=a", None),
        ("", None),
    ],
)
def test_only_our_own_address_has_a_text(url: str, text: str | None) -> None:
    assert text == text_of(url, (BASE, "https://glass.example.org"))
