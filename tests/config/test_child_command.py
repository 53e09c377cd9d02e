"""What `serve` was told reaches the server it keeps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.child_command import parse, server_command
from config.sources import SettingsError


def test_a_server_has_the_settings_that_serve_was_given(tmp_path: Path) -> None:
    file = tmp_path / "g.toml"
    file.write_text("[display]\nboot_screen_s = 9\n", encoding="utf-8")
    command = server_command(flags={"port": "0", "public_url": "https://x.example/?no"[:17]}, file=str(file))

    started = parse([*command[4:], "--inherited", "5,6,7,8"], {"GLASSHOUSE_DISPLAY_THROTTLE_S": "2"})

    assert ("-P", "-m", "config.server") == command[1:4]
    assert "5,6,7,8" == started.inherited
    settings = started.loaded.settings
    assert (0, "https://x.example", 9.0, 2.0) == (
        settings.port,
        settings.public_url,
        settings.display.boot_screen_s,
        settings.display.throttle_s,
    )


def test_file_is_found_from_another_folder() -> None:
    command = server_command(flags={}, file="g.toml")

    assert os.path.join(os.getcwd(), "g.toml") in command


def test_a_value_may_hold_an_equals_sign() -> None:
    assert "a=b" == parse(["--set", "token_issuer=a=b"], {}).loaded.settings.token_issuer


def test_a_server_without_keeper_inherits_nothing() -> None:
    assert parse([], {}).inherited is None


def test_wrong_settings_are_told_to_the_server_too() -> None:
    with pytest.raises(SettingsError):
        parse(["--set", "port=x"], {})
