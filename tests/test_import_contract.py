"""The contract type that allows libraries by name."""

from __future__ import annotations

import grimp
import pytest

from tests.import_contract import AllowedExternals


def _graph() -> grimp.ImportGraph:
    graph = grimp.ImportGraph()
    for module in ("room", "room.inner"):
        graph.add_module(module)
    for module in ("trio", "httpx", "os"):
        graph.add_module(module, is_squashed=True)
    graph.add_import(importer="room", imported="trio")
    graph.add_import(importer="room.inner", imported="httpx")
    graph.add_import(importer="room.inner", imported="os")
    graph.add_import(importer="room.inner", imported="room")
    return graph


def _contract(allowed: list[str]) -> AllowedExternals:
    return AllowedExternals(
        name="room",
        session_options={"root_packages": ["room"]},
        contract_options={"source_modules": ["room"], "allowed": allowed},
    )


def test_a_library_that_is_not_allowed_breaks_the_contract() -> None:
    check = _contract(["trio"]).check(_graph(), verbose=False)

    assert not check.kept
    assert ["room.inner imports httpx"] == check.metadata["broken"]


def test_allowed_libraries_and_the_standard_library_keep_it() -> None:
    assert _contract(["trio", "httpx"]).check(_graph(), verbose=False).kept


def test_broken_contract_names_who_imports_what(capsys: pytest.CaptureFixture[str]) -> None:
    contract = _contract([])

    contract.render_broken_contract(contract.check(_graph(), verbose=False))

    shown = capsys.readouterr().out
    assert "room imports trio" in shown
    assert "room.inner imports httpx" in shown
