"""An app's keys: what counts, until when, and that a change leaves no moment without a good one."""

from __future__ import annotations

import pytest

from actors.app_keys import (
    MOST_KEYS,
    good_keys,
    hash_of,
    key_matches,
    with_new_key,
    with_token_key,
    without_more_keys,
)
from actors.ports import AppDocument

NOW = 1_795_240_800.0
APP = AppDocument(
    package_name="org.example.a", public_url="https://a", hashed_api_key=hash_of("first"), name="A"
)


def test_the_former_key_is_good_until_the_overlap_is_over_and_the_new_one_from_the_start() -> None:
    app = with_new_key(APP, hash_of("second"), now=NOW, overlap_s=60)

    assert [key_matches(app, "second", NOW), key_matches(app, "first", NOW + 59)] == [True, True]
    assert [key_matches(app, "second", NOW + 61), key_matches(app, "first", NOW + 60)] == [True, False]


def test_a_stolen_key_is_taken_back_at_once_with_all_tokens() -> None:
    app = with_token_key(APP, hash_of("of a token"), now=NOW, until_s=None)

    app = without_more_keys(with_new_key(app, hash_of("second"), now=NOW, overlap_s=60))

    assert [False, False, True] == [key_matches(app, key, NOW) for key in ("first", "of a token", "second")]


def test_a_tokens_key_is_good_as_long_as_the_token() -> None:
    app = with_token_key(APP, hash_of("short"), now=NOW, until_s=NOW + 10)
    app = with_token_key(app, hash_of("for ever"), now=NOW, until_s=None)

    assert [True, True, True] == [key_matches(app, key, NOW + 9) for key in ("first", "short", "for ever")]
    assert [False, True] == [key_matches(app, key, NOW + 10) for key in ("short", "for ever")]


def test_keys_whose_time_is_over_are_dropped_and_never_more_are_kept_than_may() -> None:
    app = with_token_key(APP, hash_of("old"), now=NOW, until_s=NOW + 1)
    for number in range(MOST_KEYS + 5):
        app = with_token_key(app, hash_of(str(number)), now=NOW + 2, until_s=None)

    assert MOST_KEYS == len(app.more_keys) == len(good_keys(app, NOW + 2))
    assert not key_matches(app, "4", NOW + 2)
    assert key_matches(app, "5", NOW + 2)


@pytest.mark.parametrize("key", ["", "firs", "first ", hash_of("first"), "\ud800", "x" * 10_000])
def test_no_other_text_is_a_key(key: str) -> None:
    app = with_new_key(APP, hash_of("second"), now=NOW, overlap_s=60)

    assert not key_matches(app, key, NOW)
