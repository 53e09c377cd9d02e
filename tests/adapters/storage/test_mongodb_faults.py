"""What an error of MongoDB's means to whoever asked, and what is a plain document to it."""

from __future__ import annotations

import pytest
from bson.errors import InvalidDocument
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    DuplicateKeyError,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
    WTimeoutError,
)

from adapters.storage.mongodb.faults import is_duplicate, is_passing, storage_error
from adapters.storage.mongodb.packing import fields_of, is_collection, text_of


def of_transaction() -> PyMongoError:
    error = PyMongoError("gone")
    error._add_error_label("TransientTransactionError")
    return error


def bulk(*codes: int, concern: int | None = None) -> BulkWriteError:
    concerns = [] if concern is None else [{"code": concern}]
    return BulkWriteError({"writeErrors": [{"code": code} for code in codes], "writeConcernErrors": concerns})


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("broken"),
        NetworkTimeout("slow"),
        NotPrimaryError("not primary"),
        ServerSelectionTimeoutError("nobody"),
        WaitQueueTimeoutError("busy"),
        OperationFailure("stepped down", 189),
        OperationFailure("conflict", 112),
        WriteConcernError("too few", 64),
        WTimeoutError("too few", 64),
        bulk(concern=91),
        bulk(11602),
        of_transaction(),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:40],
)
def test_what_passes_is_tried_again_and_else_worth_asking_again_soon(error: Exception) -> None:
    assert is_passing(error)
    assert 1.0 == storage_error(error).retry_after_s


@pytest.mark.parametrize(
    ("error", "expected", "retry_after_s"),
    [
        (OperationFailure("auth failed", 18), "user or password is wrong", 30.0),
        (OperationFailure("not authorized", 13), "give it readWrite", 30.0),
        (DuplicateKeyError("E11000", 11000), "the same identity", 60.0),
        (bulk(11000), "the same identity", 60.0),
        (bulk(11000, 91), "the same identity", 60.0),
        (OperationFailure("bad", 2), "MongoDB failed", 5.0),
        (ConfigurationError("no such option"), "as configured", 30.0),
        (InvalidDocument("too deep"), "cannot be stored", 60.0),
        (OverflowError("too large"), "cannot be stored", 60.0),
    ],
    ids=lambda part: f"{type(part).__name__} {part}"[:40],
)
def test_what_does_not_pass_says_what_to_do(error: Exception, expected: str, retry_after_s: float) -> None:
    told = storage_error(error)

    assert not is_passing(error)
    assert expected in str(told)
    assert retry_after_s == told.retry_after_s


def test_two_of_one_identity_are_told_from_other_faults() -> None:
    assert is_duplicate(bulk(11000))
    assert is_duplicate(DuplicateKeyError("E11000", 11000))
    assert not is_duplicate(bulk(2))


@pytest.mark.parametrize(
    "text",
    [b"{}", b'{"a":1,"b":[1.5,null,true,{"c":"\xc3\xa4"}]}', b'{"n":9223372036854775807}', b'{"z":0.0}'],
)
def test_a_plain_document_lies_there_with_its_fields(text: bytes) -> None:
    fields = fields_of(text)

    assert fields is not None
    assert text == text_of({"_id": "k", **fields, "_store": {}})


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b'"text"',
        b'{"a": 1}',
        b'{"a":1.50}',
        b'{"a":1,"a":2}',
        b'{"n":9223372036854775808}',
        b'{"z":-0.0}',
        b'{"a.b":1}',
        b'{"$a":1}',
        b'{"":1}',
        b'{"_id":1}',
        b'{"_store":1}',
        b'{"a":{"b\\\\":1}}',
        b'{"a":' * 60 + b"1" + b"}" * 60,
    ],
)
def test_a_document_that_would_not_come_back_as_it_was_lies_there_as_text(text: bytes) -> None:
    assert fields_of(text) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tasks", True),
        ("agent_logs", True),
        ("", False),
        ("users", False),
        ("system.users", False),
        ("a$", False),
        ("x" * 121, False),
    ],
)
def test_documents_lie_in_collections_that_are_nobody_elses(name: str, expected: bool) -> None:
    assert expected == is_collection(name)
