"""What pymongo's errors mean: worth another attempt, or an error for whoever asked."""

from __future__ import annotations

from typing import Any, Final

from bson.errors import BSONError
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    WaitQueueTimeoutError,
)

from actors.ports import StorageError

ERRORS: Final = (PyMongoError, BSONError, OverflowError)
"""All that a call of pymongo raises. BSONError and OverflowError are for a document that cannot be sent."""

DUPLICATE_KEY: Final = 11000

_PASSING: Final = frozenset(
    {
        6,  # HostUnreachable
        7,  # HostNotFound
        50,  # MaxTimeMSExpired
        64,  # WriteConcernFailed: too few members have it yet
        89,  # NetworkTimeout
        91,  # ShutdownInProgress
        112,  # WriteConflict
        134,  # ReadConcernMajorityNotAvailableYet
        189,  # PrimarySteppedDown
        251,  # NoSuchTransaction: its primary has gone
        262,  # ExceededTimeLimit
        9001,  # SocketException
        10107,  # NotWritablePrimary
        11600,  # InterruptedAtShutdown
        11602,  # InterruptedDueToReplStateChange
        13435,  # NotPrimaryNoSecondaryOk
        13436,  # NotPrimaryOrSecondary
    }
)
"""Codes of mongo/src/mongo/base/error_codes.yml after which the same may go through."""

_MEANINGS: Final[dict[int, tuple[str, float]]] = {
    13: ("this user has no right to it; give it readWrite on the database", 30.0),
    18: ("user or password is wrong", 30.0),
    DUPLICATE_KEY: ("another document has the same identity", 60.0),
    8000: ("Atlas refused it", 30.0),
}
"""A code: what it means for the operator, and the seconds after which to ask again."""


def is_passing(error: Exception) -> bool:
    """Whether the same call may go through in a moment: a change of primary, a connection that broke."""
    if isinstance(error, AutoReconnect | WaitQueueTimeoutError):
        return True
    if isinstance(error, PyMongoError) and (
        error.has_error_label("TransientTransactionError") or error.timeout
    ):
        return True
    codes = _codes(error)
    return bool(codes) and codes <= _PASSING


def is_duplicate(error: Exception) -> bool:
    """Two upserts of one document met, or another document has the same identity."""
    return isinstance(error, DuplicateKeyError) or DUPLICATE_KEY in _codes(error)


def storage_error(error: Exception) -> StorageError:
    """What whoever asked is told. It names no host: a URI in it could hold the password."""
    if isinstance(error, StorageError):
        return error
    if is_passing(error):
        return StorageError(f"MongoDB does not answer: {_cause(error)}", retry_after_s=1.0)
    if isinstance(error, BSONError | OverflowError):
        return StorageError(f"a change cannot be stored: {error}", retry_after_s=60.0)
    if isinstance(error, ConfigurationError):
        return StorageError(f"MongoDB cannot be reached as configured: {error}", retry_after_s=30.0)
    for code in _codes(error):
        if code in _MEANINGS:
            meaning, retry_after_s = _MEANINGS[code]
            return StorageError(f"MongoDB: {meaning} ({code})", retry_after_s=retry_after_s)
    return StorageError(f"MongoDB failed: {_cause(error)}", retry_after_s=5.0)


def _codes(error: Exception) -> frozenset[int]:
    """All codes in an error: its own, those of single writes and of the write concern."""
    details: Any = getattr(error, "details", None) or {}
    if isinstance(error, BulkWriteError):
        parts = [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]
        return frozenset(part["code"] for part in parts if "code" in part)
    if isinstance(error, OperationFailure) and error.code is not None:
        return frozenset({error.code})
    return frozenset()


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"
