"""The smallest server that keeps its side of the agreement with the keeper, and one whose loop is stuck.

    python keeper_child.py MODE NOTES --inherited L,F,S,D

It answers every connection with its process id, and appends what happens to it to the file NOTES.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import trio

from adapters.listener.child import end_with_keeper, inherit, lifeline_closed, say_ready


def note(path: str, line: str) -> None:
    with open(path, "a", encoding="ascii") as file:
        file.write(f"{line}\n")


async def answer(connection: trio.SocketStream) -> None:
    await connection.send_all(f"{os.getpid()}\n".encode())


async def serve(notes: str, words: str) -> None:
    inherited = inherit(words)
    end_with_keeper(inherited.lifeline, within_s=2.0)
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(inherited.listening))

    async def await_signal(scope: trio.CancelScope) -> None:
        with trio.open_signal_receiver(signal.SIGTERM) as signals:
            note(notes, f"ready {os.getpid()}")
            say_ready(inherited)
            async for _ in signals:
                note(notes, "told to end")
                scope.cancel()

    async def await_keepers_end(scope: trio.CancelScope) -> None:
        await lifeline_closed(inherited.lifeline)
        note(notes, "keeper gone")
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(await_signal, nursery.cancel_scope)
        nursery.start_soon(await_keepers_end, nursery.cancel_scope)
        await trio.serve_listeners(answer, [listener])
    note(notes, "flushed")


async def block_the_loop(notes: str, words: str) -> None:
    """Ready, and then a handler that never returns: the loop hears nothing of the lifeline.

    Told to end it closes the port, as a server does first, and gets no further.
    """
    inherited = inherit(words)
    end_with_keeper(inherited.lifeline, within_s=0.5)

    def close_the_port(*_: object) -> None:
        inherited.listening.close()
        note(notes, "told to end")

    signal.signal(signal.SIGTERM, close_the_port)
    note(notes, f"ready {os.getpid()}")
    say_ready(inherited)
    while True:
        signal.pause()


def main() -> None:
    mode, notes, option, words = sys.argv[1:]
    assert option == "--inherited"
    note(notes, f"start {time.time()} {os.getpid()}")
    trio.run({"answer": serve, "stuck": block_the_loop}[mode], notes, words)


if __name__ == "__main__":
    main()
