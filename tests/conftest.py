from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.mongodb import NoServerError, mongodb_server

_numbers = itertools.count()


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a MongoDB server that every test of this process shares."""
    try:
        with mongodb_server(tmp_path_factory.mktemp("mongodb")) as uri:
            yield uri
    except NoServerError as error:
        pytest.skip(f"MongoDB with a real server: {error}")


@pytest.fixture
def database() -> str:
    """The name of a database that nobody has used."""
    return f"test{next(_numbers)}"
