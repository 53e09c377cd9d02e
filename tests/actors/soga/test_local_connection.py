"""A connection without a socket: what each end notices of the other."""

from __future__ import annotations

from actors.ports import CloseInfo, Connection, Lane, Outgoing
from actors.soga.connection import AppEnd, Carried, Closed, LocalConnection, Pinged


class App:
    """The app's end: hears, or does not take what it is told."""

    def __init__(self) -> None:
        self.heard: list[AppEnd] = []
        self.takes = True

    def tell(self, message: AppEnd, /) -> bool:
        if self.takes:
            self.heard.append(message)
        return self.takes


class Server:
    """A handler, which raises at what it is told to."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.failures: list[Exception] = []

    def opened(self, connection: Connection) -> None:
        self.heard.append("opened")

    def text(self, connection: Connection, payload: bytes) -> None:
        if payload == b"raise":
            raise RuntimeError("as it was told")
        self.heard.append(payload)

    def binary(self, connection: Connection, payload: bytes) -> None:
        raise AssertionError("an app in here sends no binary")

    def closed(self, connection: Connection, info: CloseInfo) -> None:
        self.heard.append(info)

    def failed(self, connection: Connection, error: Exception) -> None:
        self.failures.append(error)


def opened(now: float = 5.0) -> tuple[App, LocalConnection, Server]:
    app, server = App(), Server()
    connection = LocalConnection("connection-1", app, lambda: now)
    connection.open(server)
    return app, connection, server


def test_each_end_hears_the_other_in_order() -> None:
    app, connection, server = opened()

    connection.say(b"one")
    connection.say(b"two")
    assert connection.send(Outgoing(b"three"))

    assert ["opened", b"one", b"two"] == server.heard
    assert [Carried("connection-1", b"three")] == app.heard
    assert (2, 1) == (connection.health.messages_in, connection.health.messages_out)


def test_a_close_by_the_server_is_heard_at_both_ends_once() -> None:
    app, connection, server = opened()

    connection.close(1000, "App stopped")
    connection.close(1000, "again")
    connection.abort()
    connection.say(b"late")

    assert [Closed("connection-1", 1000, "App stopped")] == app.heard
    assert ["opened", CloseInfo(code=1000, reason="App stopped", by_us=True)] == server.heard
    assert not connection.send(Outgoing(b"late"))


def test_a_close_by_the_app_is_heard_by_the_server() -> None:
    app, connection, server = opened()

    connection.hang_up(1001)
    connection.hang_up(1001)

    assert ["opened", CloseInfo(code=1001)] == server.heard
    assert [] == app.heard


def test_a_ping_is_answered_by_the_app_and_nobody_else() -> None:
    app, connection, _ = opened()

    connection.ping()
    connection.ping()
    assert 2 == connection.health.missed_pongs
    assert not connection.health.has_shown_pongs
    connection.pong()

    assert [Pinged("connection-1")] * 2 == app.heard
    assert (0, True) == (connection.health.missed_pongs, connection.health.has_shown_pongs)


def test_an_app_that_takes_nothing_any_more_loses_its_connection() -> None:
    for call in ("send", "ping"):
        app, connection, server = opened()
        app.takes = False

        if call == "send":
            assert not connection.send(Outgoing(b"one"))
        else:
            connection.ping()

        assert not connection.is_open
        assert ["opened", CloseInfo(code=1006, by_us=True, was_reset=True)] == server.heard


def test_a_mistake_of_the_servers_is_its_owners_crash() -> None:
    _, connection, server = opened()

    connection.say(b"raise")
    connection.say(b"go on")

    assert ["as it was told"] == [str(error) for error in server.failures]
    assert ["opened", b"go on"] == server.heard


def test_the_microphone_is_not_carried() -> None:
    app, connection, _ = opened()

    assert not connection.send(Outgoing(b"\0\0", is_text=False, lane=Lane.AUDIO))
    assert [] == app.heard
