"""A replica set of two that speaks MongoDB's wire protocol, keeps documents in memory and fails on order.

For what a healthy server never shows: a primary that steps down in the middle, a connection that breaks
before or after a write was done, a commit whose answer is lost. Both members share the documents, as after
a replication without delay. It knows the commands that the store uses and refuses others.

Wire: OP_MSG (mongodb/specifications, source/message/OP_MSG.md) with sections of kind 0 and 1; the first hello
of a connection may come as OP_QUERY and is answered by OP_REPLY.
"""

from __future__ import annotations

import copy
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import bson
from bson.objectid import ObjectId

Document = dict[str, Any]

OP_REPLY: Final = 1
OP_QUERY: Final = 2004
OP_MSG: Final = 2013
NOT_PRIMARY: Final = 10107


class Dropped(Exception):  # noqa: N818 - an order, not an error
    """The connection is to be closed without an answer."""


class ScriptedSet:
    """The replica set. `on` plans failures; the counters tell what came.

    Attributes:
      uri: how to reach it.
      collections: the documents, by collection and `_id`; one database's.
      seen: the name of each command that was neither a hello nor bookkeeping, in order.
      primary: the number of the member that is primary; None while there is none.
    """

    def __init__(self) -> None:
        self.collections: dict[str, dict[Any, Document]] = {}
        self.seen: list[str] = []
        self.transactions: list[int] = []
        self.primary: int | None = 0
        self._elections = 1
        self._planned: list[tuple[str, Callable[[], None], bool]] = []
        self._open: dict[tuple[bytes, int], list[Document]] = {}
        self._lock = threading.RLock()
        self._members: list[socketserver.ThreadingTCPServer] = []

    @property
    def uri(self) -> str:
        return f"mongodb://{','.join(self._hosts)}/?replicaSet=scripted"

    def on(self, command: str, do: Callable[[], None], *, is_done_first: bool = False) -> None:
        """When the next `command` comes, call `do`, which may raise `Dropped` or change the primary.

        Args:
          is_done_first: the command has its effect before.
        """
        with self._lock:
            self._planned.append((command, do, is_done_first))

    def elect(self, member: int | None) -> None:
        """Make `member` primary from now on. What transactions were open is undone."""
        with self._lock:
            self.primary = member
            self._elections += member is not None
            self._open.clear()

    def answer(self, member: int, command: Document) -> Document:
        """What the member says to a command. Raises Dropped."""
        with self._lock:
            name = next(iter(command))
            if name in ("hello", "ismaster", "isMaster"):
                return self._hello(member)
            if name in ("endSessions", "killCursors", "abortTransaction"):
                return {"ok": 1.0}
            self.seen.append(name)
            planned = next((one for one in self._planned if one[0] == name), None)
            if planned is None:
                return self._done(member, command, name)
            self._planned.remove(planned)
            _, do, is_done_first = planned
            answer = self._done(member, command, name) if is_done_first else None
            do()
            return self._done(member, command, name) if answer is None else answer

    def _done(self, member: int, command: Document, name: str) -> Document:
        if member != self.primary:
            return {"ok": 0.0, "code": NOT_PRIMARY, "codeName": "NotWritablePrimary", "errmsg": "not primary"}
        transaction = None
        if "autocommit" in command:
            transaction = (bytes(command["lsid"]["id"]), command["txnNumber"])
            if command.get("startTransaction"):
                self._open[transaction] = []
            if transaction not in self._open:
                labels = ["TransientTransactionError"]
                return {"ok": 0.0, "code": 251, "errmsg": "no such transaction", "errorLabels": labels}
        if name == "commitTransaction":
            assert transaction is not None
            steps = self._open.pop(transaction)
            self.transactions.append(len(steps))
            for step in steps:
                self._write(step, next(iter(step)))
            return {"ok": 1.0}
        if transaction is not None and name in ("update", "delete"):
            self._open[transaction].append(command)
            count = len(command["updates" if name == "update" else "deletes"])
            return {"ok": 1.0, "n": count, "nModified": count}
        if name in ("update", "delete", "findAndModify"):
            return self._write(command, name)
        committed = self.collections
        try:
            if transaction is not None:  # it sees what it has written itself
                self.collections = copy.deepcopy(committed)
                for step in self._open[transaction]:
                    self._write(step, next(iter(step)))
            return self._read(command, name)
        finally:
            self.collections = committed

    def _read(self, command: Document, name: str) -> Document:
        documents = list(self.collections.get(str(command[name]), {}).values())
        match name:
            case "find":
                found = [one for one in documents if _matches(one, command.get("filter", {}))]
                for field, order in reversed(list(command.get("sort", {}).items())):
                    found.sort(key=partial(_field, path=field), reverse=order < 0)
                found = found[command.get("skip", 0) :][: command.get("limit") or None]
                cursor = {"id": 0, "ns": f"{command['$db']}.{command['find']}", "firstBatch": found}
                return {"ok": 1.0, "cursor": cursor}
            case "distinct":
                found = [one for one in documents if _matches(one, command.get("query", {}))]
                return {"ok": 1.0, "values": sorted({_field(one, command["key"]) for one in found} - {None})}
            case "listCollections" | "listIndexes":
                return {"ok": 1.0, "cursor": {"id": 0, "ns": f"{command['$db']}.x", "firstBatch": []}}
            case "createIndexes":
                return {"ok": 1.0}
            case "buildInfo" | "buildinfo":
                return {"ok": 1.0, "version": "7.0.0"}
        return {"ok": 0.0, "code": 59, "errmsg": f"no such command: {name}"}

    def _write(self, command: Document, name: str) -> Document:
        collection = self.collections.setdefault(command[name], {})
        if name == "findAndModify":
            one = {"q": command["query"], "u": command["update"], "upsert": command.get("upsert")}
            _update(collection, one)
            (found,) = [one for one in collection.values() if _matches(one, command["query"])]
            return {"ok": 1.0, "value": found, "lastErrorObject": {"n": 1}}
        if name == "delete":
            gone = [
                key
                for one in command["deletes"]
                for key, document in collection.items()
                if _matches(document, one["q"])
            ]
            for key in set(gone):
                del collection[key]
            return {"ok": 1.0, "n": len(set(gone))}
        outcomes = [_update(collection, one) for one in command["updates"]]
        upserted = [{"index": at, "_id": key} for at, (_, key) in enumerate(outcomes) if key is not None]
        made = {"upserted": upserted} if upserted else {}
        matched = sum(count for count, _ in outcomes)
        return {"ok": 1.0, "n": matched + len(upserted), "nModified": matched, **made}

    def _hello(self, member: int) -> Document:
        is_primary = member == self.primary
        primary = {} if self.primary is None else {"primary": self._hosts[self.primary]}
        election = {"electionId": ObjectId(f"{self._elections:024x}")} if is_primary else {}
        return {
            "ok": 1.0,
            "helloOk": True,
            "isWritablePrimary": is_primary,
            "ismaster": is_primary,
            "secondary": not is_primary,
            "setName": "scripted",
            "setVersion": 1,
            "hosts": self._hosts,
            "me": self._hosts[member],
            "minWireVersion": 0,
            "maxWireVersion": 21,
            "maxBsonObjectSize": 16_777_216,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "logicalSessionTimeoutMinutes": 30,
            **primary,
            **election,
        }

    @property
    def _hosts(self) -> list[str]:
        return [f"127.0.0.1:{server.server_address[1]}" for server in self._members]

    @contextmanager
    def serving(self) -> Iterator[ScriptedSet]:
        """Both members listen until the end of the block."""
        for member in range(2):
            server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _handler(self, member))
            server.daemon_threads = True
            server.block_on_close = False
            self._members.append(server)
        threads = [
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            for server in self._members
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            for server in self._members:
                server.shutdown()
                server.server_close()


def _handler(scripted: ScriptedSet, member: int) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                while head := self._exactly(16):
                    length, number, _, operation = struct.unpack("<iiii", head)
                    body = self._exactly(length - 16)
                    if operation == OP_QUERY:
                        answer = scripted.answer(member, _query(body))
                        payload = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(answer)
                        kind = OP_REPLY
                    else:
                        answer = scripted.answer(member, _message(body))
                        payload, kind = struct.pack("<iB", 0, 0) + bson.encode(answer), OP_MSG
                    self.request.sendall(struct.pack("<iiii", 16 + len(payload), 0, number, kind) + payload)
            except (Dropped, ConnectionError):
                return

        def _exactly(self, count: int) -> bytes:
            parts = b""
            while len(parts) < count:
                part = self.request.recv(count - len(parts))
                if not part:
                    raise Dropped
                parts += part
            return parts

    return Handler


def _query(body: bytes) -> Document:
    start = body.index(b"\0", 4) + 1 + 8
    document: Document = bson.decode(body[start:])
    return document


def _message(body: bytes) -> Document:
    at, command, sequences = 4, {}, {}
    while at < len(body):
        kind = body[at]
        (length,) = struct.unpack_from("<i", body, at + 1)
        content = body[at + 1 : at + 1 + length]
        if kind == 0:
            command = bson.decode(content)
        else:
            name, _, documents = content[4:].partition(b"\0")
            sequences[name.decode()] = bson.decode_all(documents)
        at += 1 + length
    return {**command, **sequences}


def _update(collection: dict[Any, Document], one: Document) -> tuple[int, Any]:
    """Do one update: how many it matched, and the key of what it made."""
    change: Document = one["u"]
    found = [document for document in collection.values() if _matches(document, one["q"])]
    is_made = not found and bool(one.get("upsert"))
    if is_made:
        key = one["q"]["_id"]
        collection[key] = {"_id": key}
        found = [collection[key]]
    for document in found[:1]:
        if not any(name.startswith("$") for name in change):
            collection[document["_id"]] = {"_id": document["_id"], **change}
            continue
        document.update(change.get("$set", {}))
        document.update(change.get("$setOnInsert", {}) if is_made else {})
        for name, amount in change.get("$inc", {}).items():
            document[name] = document.get(name, 0) + amount
        for name, least in change.get("$max", {}).items():
            document[name] = max(document.get(name, least), least)
        for name in change.get("$unset", {}):
            document.pop(name, None)
    return (0, one["q"]["_id"]) if is_made else (len(found[:1]), None)


def _field(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _matches(document: Document, wanted: Document) -> bool:
    for path, value in wanted.items():
        actual = _field(document, path)
        if not isinstance(value, Mapping):
            if actual != value:
                return False
            continue
        for operator, operand in value.items():
            if not _is_met(operator, actual, operand):
                return False
    return True


def _is_met(operator: str, actual: Any, operand: Any) -> bool:
    match operator:
        case "$in":
            return bool(actual in operand)
        case "$lt":
            return actual is not None and bool(actual < operand)
        case "$exists":
            return bool((actual is not None) == operand)
    raise AssertionError(f"the store does not use {operator}")
