"""What an edit makes of a user's preferences and of an app's simple storage, and what it refuses."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.cabinet import preferences, storage, tickets
from actors.cabinet.preferences import (
    AlreadyInstalledError,
    Install,
    InstalledApp,
    NoSuchSettingError,
    NoteRun,
    NotInstalledError,
    Preferences,
    RemoveSystemSetting,
    SetAppSettings,
    SetSystemSettings,
    TooLargeError,
    Uninstall,
    edited,
)
from actors.cabinet.settings import CabinetSettings
from actors.cabinet.storage import ClearValues, PutValues, RemoveValue
from actors.cabinet.tickets import Ticket

LIMITS = CabinetSettings()
APP = "org.example.notes"


def after(*edits: preferences.Edit, before: Preferences = preferences.NOTHING) -> Preferences:
    for edit in edits:
        before = edited(before, edit, LIMITS)
    return before


def test_system_settings_are_merged_and_removed_by_key() -> None:
    both = after(SetSystemSettings({"brightness": 10, "x": [1]}), SetSystemSettings({"brightness": 20}))

    assert {"brightness": 20, "x": [1]} == both.system
    assert {"x": [1]} == after(RemoveSystemSetting("brightness"), before=both).system
    assert 2 == both.version


def test_an_edit_that_changes_nothing_is_no_new_version() -> None:
    known = after(SetSystemSettings({"brightness": 10}))

    assert known is edited(known, SetSystemSettings({"brightness": 10}), LIMITS)
    assert known is edited(known, RemoveSystemSetting("other"), LIMITS)


def test_an_apps_settings_are_merged_and_unknown_keys_refused_with_all_of_the_edit() -> None:
    known = after(
        SetAppSettings(APP, {"a": 1, "b": 2}, ("a", "b")), SetAppSettings(APP, {"b": 3}, ("a", "b"))
    )

    assert {APP: {"a": 1, "b": 3}} == known.apps
    with pytest.raises(NoSuchSettingError, match="c"):
        edited(known, SetAppSettings(APP, {"a": 9, "c": 9}, ("a", "b")), LIMITS)


def test_installing_and_uninstalling_are_refused_where_there_is_nothing_to_do() -> None:
    installed = after(Install(APP, 5))

    assert {APP: InstalledApp(5)} == installed.installed
    with pytest.raises(AlreadyInstalledError):
        edited(installed, Install(APP, 6), LIMITS)
    gone = after(Uninstall(APP), before=installed)
    assert ({}, (APP,)) == (gone.installed, gone.uninstalled)
    with pytest.raises(NotInstalledError):
        edited(gone, Uninstall(APP), LIMITS)
    with pytest.raises(NotInstalledError):
        edited(gone, Uninstall(APP, is_offered=True), LIMITS)
    assert () == after(Install(APP, 7), before=gone).uninstalled


def test_what_is_offered_to_everybody_can_be_uninstalled_once() -> None:
    assert (APP,) == after(Uninstall(APP, is_offered=True)).uninstalled


def test_an_app_that_runs_is_installed_and_when_it_ran_is_noted() -> None:
    known = after(NoteRun(APP, 5), NoteRun(APP, 9))

    assert {APP: InstalledApp(5, 9)} == known.installed


@pytest.mark.parametrize("key", ["", "k" * 257])
def test_keys_have_a_length(key: str) -> None:
    with pytest.raises(TooLargeError):
        edited(preferences.NOTHING, SetSystemSettings({key: 1}), LIMITS)
    with pytest.raises(TooLargeError):
        storage.edited({}, PutValues({key: "v"}), LIMITS)


def test_all_preferences_together_have_a_size_and_can_always_become_smaller() -> None:
    limits = CabinetSettings(preferences_bytes=200)
    full = edited(preferences.NOTHING, SetSystemSettings({"a": "x" * 100}), limits)

    with pytest.raises(TooLargeError, match="200"):
        edited(full, SetSystemSettings({"b": "x" * 100}), limits)
    assert {} == edited(full, RemoveSystemSetting("a"), CabinetSettings(preferences_bytes=1)).system


def test_values_have_a_size_each_and_together() -> None:
    limits = CabinetSettings(value_bytes=10, storage_bytes=30)

    assert {"a": "x" * 10} == storage.edited({}, PutValues({"a": "x" * 10}), limits)
    with pytest.raises(TooLargeError, match="10 bytes, not 11"):
        storage.edited({}, PutValues({"a": "x" * 11}), limits)
    with pytest.raises(TooLargeError, match="10 bytes, not 12"):
        storage.edited({}, PutValues({"a": "ü" * 6}), limits)
    with pytest.raises(TooLargeError, match="30 bytes, not 33"):
        storage.edited({"a": "x" * 10, "b": "x" * 10}, PutValues({"c": "x" * 10}), limits)


def test_values_are_put_beside_each_other_removed_and_cleared() -> None:
    values = storage.edited({"a": "1"}, PutValues({"b": "2", "a": "3"}), LIMITS)

    assert {"a": "3", "b": "2"} == values
    assert {"a": "3"} == storage.edited(values, RemoveValue("b"), LIMITS)
    assert values == storage.edited(values, RemoveValue("c"), LIMITS)
    assert {} == storage.edited(values, ClearValues(), LIMITS)


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=20)), st.text(min_size=1))
def test_a_storage_is_never_larger_than_its_limit(values: dict[str, str], key: str) -> None:
    limits = CabinetSettings(value_bytes=20, storage_bytes=60)
    try:
        kept = storage.edited({key[:5]: "x"}, PutValues(values), limits)
    except TooLargeError:
        return

    assert 60 >= sum(len((name + value).encode("utf-8", "surrogatepass")) for name, value in kept.items())


def test_a_ticket_is_its_apps_and_for_a_minute() -> None:
    ticket = Ticket("ada@example.org", APP, 1000)

    assert "ada@example.org" == tickets.holder(ticket, APP, 999)
    assert tickets.holder(ticket, APP, 1000) is None
    assert tickets.holder(ticket, "org.example.other", 0) is None
    assert "token" not in tickets.key_of("token")


def test_a_document_of_preferences_comes_back_as_it_was() -> None:
    known = after(SetSystemSettings({"a": {"b": None}}), Install(APP, 5), Uninstall("x", is_offered=True))

    assert known == msgspec.json.decode(msgspec.json.encode(known), type=Preferences)
