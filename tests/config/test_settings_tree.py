"""The settings as a whole: none without words or unit, URLs of the server, the generated reference."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from config.catalogue import catalogue, descriptions
from config.reference import configuration_reference, undescribed
from config.settings import ALIASES, Settings, base_urls, is_loopback

ROOT = Path(__file__).resolve().parent.parent.parent


def test_every_setting_is_described_where_its_default_stands() -> None:
    assert [] == undescribed()


def test_every_time_has_its_unit_in_its_name() -> None:
    times = ("timeout", "delay", "interval", "period", "grace", "debounce", "deadline", "leeway")
    unitless = [
        one.name
        for one in catalogue().values()
        if isinstance(one.default, (int, float)) and not one.unit and one.name.endswith(times)
    ]

    assert [] == unitless


def test_every_name_of_the_environment_means_one_setting() -> None:
    variables = [variable for one in catalogue().values() for variable in one.variables]

    assert len(variables) == len(set(variables))
    assert set(ALIASES) <= set(catalogue())


def test_defaults_are_those_of_an_empty_tree() -> None:
    settings = Settings()

    for name, one in catalogue().items():
        found = settings
        for part in name.split("."):
            found = getattr(found, part)
        assert one.default == found, name


@pytest.mark.parametrize(
    ("name", "default"),
    [
        # protocol.md 4.1, where DESIGN section 6 does not say otherwise; 5.7; 6.2
        ("session.phone_grace_s", 300.0),
        ("lifecycle.grace_s", 10.0),
        ("lifecycle.connect_s", 5.0),
        ("lifecycle.webhook_timeout_s", 10.0),
        ("lifecycle.start_attempts", 2),
        ("lifecycle.webhook_retry_s", 1.0),
        ("display.throttle_s", 0.3),
        ("display.boot_screen_s", 1.5),
        ("display.background_lock_s", 10.0),
        ("engine.max_message_bytes", 16 * 2**20),
        ("host", "127.0.0.1"),
        ("port", 8002),
    ],
)
def test_defaults_of_the_protocol_are_settings(name: str, default: object) -> None:
    assert default == catalogue()[name].default


def test_reference_is_up_to_date() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

    assert configuration_reference() == written, "run: python -m config.reference"


def test_reference_has_the_bounds_that_are_not_those_of_every_number() -> None:
    rows = {line.split("`")[1]: line for line in configuration_reference().splitlines() if "| `" in line}

    assert "| number, at most 3 |" in rows["pocketsphinx.vad_mode"]
    assert "| number, more than 0, less than 1 |" in rows["pocketsphinx.ratio"]
    assert "| seconds |" in rows["session.phone_grace_s"]


def test_no_default_secret_is_built_in() -> None:
    assert [] == [one.name for one in catalogue().values() if one.is_secret and one.default]


class _Described(msgspec.Struct):
    """Attributes:
    first: one line.
    second_s: more
      than one: with a colon.
    third, fourth: of both.
    """

    first: int = 1
    second_s: float = 2.0
    third: int = 3
    fourth: int = 4


def test_description_may_stand_at_the_very_start_of_a_docstring() -> None:
    assert {
        "first": "one line.",
        "second_s": "more than one: with a colon.",
        "third": "of both.",
        "fourth": "of both.",
    } == descriptions(_Described)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("10.1.2.3", "http://10.1.2.3:80"),
        ("glasses.lan", "http://glasses.lan:80"),
    ],
)
def test_without_urls_a_server_is_reached_where_it_listens(host: str, expected: str) -> None:
    assert (expected, expected) == base_urls(Settings(), host, 80)


def test_node_name_is_part_of_both_urls() -> None:
    settings = Settings(node_name="east-1", public_url="https://glasses.example.org/")

    assert ("https://glasses.example.org/o/east-1", "http://127.0.0.1:1/o/east-1") == base_urls(
        settings, "127.0.0.1", 1
    )


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("x.org", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, expected: bool) -> None:
    assert expected is is_loopback(host)
