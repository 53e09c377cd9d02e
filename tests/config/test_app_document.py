"""An app from options and a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.ports import AppDocument, HardwareRequirement, Permission
from config.app_document import AppError, AppFile, AppOptions, hash_api_key, make_app, read_app_file

PACKAGE = "org.example.captions"
URL = "http://127.0.0.1:7010"


def _make(file: AppFile | None = None, *, allow_http: bool = False, **options: Any) -> AppDocument:
    given = AppOptions(**{"package_name": PACKAGE, "url": URL, **options})
    return make_app(given, file, hashed_api_key="hash", allow_http=allow_http)


def _problems(file: AppFile | None = None, **options: Any) -> str:
    with pytest.raises(AppError) as raised:
        _make(file, **options)
    return str(raised.value)


def _file(tmp_path: Path, text: str, name: str = "app.json") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_package_and_url_are_enough() -> None:
    app = _make()

    assert AppDocument(package_name=PACKAGE, public_url=URL, hashed_api_key="hash", name=PACKAGE) == app


def test_a_slash_at_the_end_of_the_url_is_dropped() -> None:
    assert "https://app.example/captions" == _make(url="https://app.example/captions/").public_url


def test_options_count_more_than_the_file() -> None:
    file = AppFile(name="From file", app_type="standard", description="of file")

    app = _make(file, name="Given")

    assert ("Given", "standard", "of file") == (app.name, app.app_type, app.description)


def test_permissions_of_both_are_joined() -> None:
    file = AppFile(permissions=("CAMERA", Permission("MICROPHONE", "to write down what you hear")))

    app = _make(file, permissions=("microphone", "location"))

    assert (
        Permission("CAMERA"),
        Permission("MICROPHONE", "to write down what you hear"),
        Permission("LOCATION"),
    ) == app.permissions


@pytest.mark.parametrize(
    "name", ["captions", "", "org..captions", "org.example.", ".x.y", "org example.x", "a/b.c", "ä.b"]
)
def test_package_name_is_dotted_and_plain(name: str) -> None:
    assert "package name: expected two or more parts" in _problems(package_name=name)


def test_package_name_has_an_end() -> None:
    assert "package name" in _problems(package_name="a." + "b" * 300)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("captions.example.org", "expected http(s)://HOST"),
        ("http://captions.example.org", "expected https://"),
        ("https://captions.example.org/?x=1", "without a user, a query"),
        ("https://", "expected http(s)://HOST"),
        ("https://exa mple.org", "without blanks"),
        ("https://example.org/\n", "without blanks"),
        ("https://example.org/webhook", "without /webhook"),
        ("https://example.org/webhook/", "without /webhook"),
        ("", "expected the address"),
        ("http://127.0.0.1:port", "expected http(s)://HOST"),
        ("https://[::1", "expected http(s)://HOST"),
        ("https://[captions]/", "expected http(s)://HOST"),
    ],
)
def test_wrong_url_is_named_with_what_was_expected(url: str, expected: str) -> None:
    problems = _problems(url=url)

    assert expected in problems
    assert not url or repr(url) in problems


def test_http_elsewhere_is_a_setting() -> None:
    assert "http://captions.lan" == _make(url="http://captions.lan", allow_http=True).public_url


def test_every_problem_is_reported_at_once() -> None:
    problems = _problems(
        AppFile(
            package_name="org.example.other",
            hardware_requirements=(HardwareRequirement("TASER", "REQUIRED"),),
            settings=({"type": "toggle"}, {"type": "lever", "key": "x"}),
            tools=({"id": "t"},),
        ),
        app_type="foreground",
        permissions=("telepathy",),
        logo_url="logo.png",
        webview_url="x",
    ).split("\n")

    assert 9 == len(problems), problems


def test_settings_tools_and_hardware_come_from_the_file(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        """{
          "packageName": "org.example.captions", "name": "Captions", "version": "2.0.0", "appType":
          "standard", "logoUrl": "https://x.example/l.png", "webviewUrl": "https://x.example/", "permissions":
          ["MICROPHONE"], "settings": [{"type": "group", "title": "G"}, {"type": "toggle", "key": "on",
          "extra": [1]}], "tools": [{"id": "t", "description": "does"}], "hardwareRequirements": [{"type":
          "DISPLAY", "level": "REQUIRED"}]
        }""",
    )

    app = _make(read_app_file(path))

    assert ("Captions", "2.0.0", "standard") == (app.name, app.version, app.app_type)
    assert {"type": "toggle", "key": "on", "extra": [1]} == msgspec.json.decode(app.settings_schema[1])
    assert {"id": "t", "description": "does"} == msgspec.json.decode(app.tools[0])
    assert (HardwareRequirement("DISPLAY", "REQUIRED"),) == app.hardware


def test_file_may_be_toml(tmp_path: Path) -> None:
    path = _file(tmp_path, 'name = "Captions"\n[[settings]]\ntype = "toggle"\nkey = "on"\n', "app.toml")

    file = read_app_file(path)

    assert ("Captions", 1) == (file.name, len(file.settings or ()))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("app.json", "{", "not JSON"),
        ("app.toml", "name =", "not TOML"),
        ("app.json", "[]", "Expected `object`"),
        ("app.json", '{"nmae": "x"}', "did you mean name?"),
        ("app.json", '{"zzzzzz": "x"}', "there are packageName"),
        ("app.json", '{"settings": {}}', "$.settings"),
    ],
)
def test_wrong_file_is_named_with_what_was_expected(
    tmp_path: Path, name: str, text: str, expected: str
) -> None:
    path = _file(tmp_path, text, name)

    with pytest.raises(AppError) as raised:
        read_app_file(path)

    assert expected in str(raised.value)
    assert str(path) in str(raised.value)


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="No such file"):
        read_app_file(tmp_path / "none.json")


def test_key_is_stored_as_its_hash() -> None:
    # printf %s key | sha256sum
    assert "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683" == hash_api_key("key")


@pytest.mark.parametrize("name", ["two\nlines", "", " ", "n" * 101, "\x1b[2J"])
def test_name_is_one_line(name: str) -> None:
    assert "name: expected one line of 100 characters at most" in _problems(name=name)


OPTIONS = [{"label": "Small", "value": "small"}, {"label": "Large", "value": "large"}]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"type": "toggle", "defaultValue": "yes"}, "true or false as its defaultValue, got 'yes'"),
        ({"type": "toggle", "value": 1}, "true or false as its value, got 1"),
        ({"type": "text", "defaultValue": 3}, "text as its defaultValue, got 3"),
        ({"type": "select", "options": OPTIONS, "defaultValue": "huge"}, "one of 'small', 'large'"),
        ({"type": "select_with_search"}, "expected options, each with a label and a value"),
        ({"type": "select", "options": [{"label": "Small"}]}, "expected options"),
        ({"type": "multiselect", "options": OPTIONS, "defaultValue": ["huge"]}, "a list of 'small', 'large'"),
        ({"type": "slider", "min": 1, "max": 5, "defaultValue": 6}, "a number from 1 to 5"),
        ({"type": "numeric_input", "defaultValue": "6"}, "expected a number as its defaultValue, got '6'"),
    ],
)
def test_setting_with_a_value_that_nobody_can_choose_is_refused(item: dict[str, Any], expected: str) -> None:
    problems = _problems(AppFile(settings=({"key": "k", **item},)))

    assert expected in problems
    assert "setting 'k'" in problems


def test_settings_with_values_that_can_be_chosen_are_accepted() -> None:
    items = (
        {"type": "toggle", "key": "a", "defaultValue": False},
        {"type": "text", "key": "b", "defaultValue": ""},
        {"type": "select", "key": "c", "options": OPTIONS, "defaultValue": "large"},
        {"type": "multiselect", "key": "d", "options": OPTIONS, "defaultValue": ["small"]},
        {"type": "slider", "key": "e", "min": 0, "max": 1, "defaultValue": 0.5},
        {"type": "numeric_input", "key": "f", "defaultValue": None},
        {"type": "time_picker", "key": "g", "defaultValue": 90},
        {"type": "group", "title": "G"},
    )

    assert 8 == len(_make(AppFile(settings=items)).settings_schema)


def test_two_settings_of_one_key_are_refused() -> None:
    settings = ({"type": "toggle", "key": "on"}, {"type": "text", "key": "on"})

    assert "setting 'on': expected another key, 2 have this one" in _problems(AppFile(settings=settings))


@pytest.mark.parametrize(
    ("owner", "kept"), [(" Ada@Example.org ", "ada@example.org"), ("", ""), (None, "bob@example.org")]
)
def test_the_owner_of_an_app_is_a_mail_address_and_stays_until_another_is_given(
    owner: str | None, kept: str
) -> None:
    url, key = "https://a.example.org", hash_api_key("key")
    first = AppOptions(package_name="org.example.a", url=url, owner="bob@example.org")
    known = make_app(first, None, hashed_api_key=key, allow_http=False)

    options = AppOptions(package_name="org.example.a", url=url, owner=owner)
    changed = make_app(options, None, hashed_api_key=key, allow_http=False, known=known)

    assert ("bob@example.org", kept) == (known.owner, changed.owner)
    wrong = AppOptions(package_name="org.example.a", url=url, owner="nobody")
    with pytest.raises(AppError, match="owner: expected a mail address"):
        make_app(wrong, None, hashed_api_key=key, allow_http=False)
