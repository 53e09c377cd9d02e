"""The scenarios: what is done to whom, what that may cost, and which aim holds.

`hit` does the harm and returns who was hit and when; what follows is measured from there. A scenario in which
every session is hit has nobody else who could notice anything.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from .world import PACKAGE, World

SHARE: Final = 0.1
DROPS: Final = 30


class Hit(NamedTuple):
    """A session that was hit. `at` is the moment just before."""

    session: int
    at: float


class NotAvailable(Exception):  # noqa: N818 - says what is so
    """This installation cannot do that."""


class Scenario(NamedTuple):
    """One of them.

    Attributes:
      name: for `--only`.
      hit: does it.
      sessions: how often `onSession` runs for a session that was hit: 1 where its app had to be begun anew.
      aim_s: from both peers' dial to audio at the app, 99 of 100; DESIGN section 13, or issue 5's 250 ms.
      within_s: patience until all is well again.
      is_lossless: no socket breaks and no audio is in the hands of what dies, so that nothing may be lost.
    """

    name: str
    hit: Callable[[World], Sequence[Hit]]
    sessions: int = 0
    aim_s: float = 0.25
    within_s: float = 30.0
    is_lossless: bool = False


def everyone(world: World) -> range:
    return range(len(world.users))


def some(world: World) -> range:
    """A tenth, from the first on; the proxy's are at the other end."""
    return range(max(1, int(len(world.users) * SHARE)))


def phone_flaps(world: World) -> Sequence[Hit]:
    """The network of a tenth of the phones is gone and back."""
    at = world.phones("reset", some(world))
    return [Hit(index, at) for index in some(world)]


def drops_in_a_row(world: World) -> Sequence[Hit]:
    """One phone, as soon as its audio arrives again."""
    hits = []
    for _ in range(DROPS):
        at = world.phones("reset", [0])
        hits.append(Hit(0, at))
        frames = world.reader.arrived[0]
        world.wait(lambda at=at, frames=frames: frames.other and frames.other[-1] > at + 0.2, "audio")  # type: ignore[misc]
    return hits


def half_open_phones(world: World) -> Sequence[Hit]:
    at = world.silence(0)
    return [Hit(index, at) for index in world.through_phone_door]


def half_open_apps(world: World) -> Sequence[Hit]:
    at = world.silence(1)
    return [Hit(index, at) for index in world.through_app_door]


def app_sockets(world: World) -> Sequence[Hit]:
    at = world.reset_apps(some(world))
    return [Hit(index, at) for index in some(world)]


def app_server(away_s: float) -> Callable[[World], Sequence[Hit]]:
    """The app server's process is killed and started again so much later."""

    def hit(world: World) -> Sequence[Hit]:
        at = time.perf_counter()
        world.kill_app()
        time.sleep(away_s)
        world.start_app()
        return [Hit(index, at) for index in everyone(world)]

    return hit


def user_actor(name: str) -> Callable[[World], Sequence[Hit]]:
    """An actor of the subtree of a tenth of the users; the subtree's supervisor for an empty name."""

    def hit(world: World) -> Sequence[Hit]:
        who = some(world)
        return [
            Hit(index, world.kill_actor(f"users/{world.users[index]}/{name}".rstrip("/"))) for index in who
        ]

    return hit


def shared_actor(name: str) -> Callable[[World], Sequence[Hit]]:
    """An actor that all sessions share."""

    def hit(world: World) -> Sequence[Hit]:
        at = world.kill_actor(name)
        return [Hit(index, at) for index in everyone(world)]

    return hit


def server_killed(world: World) -> Sequence[Hit]:
    at = world.signal_child(signal.SIGKILL)
    return [Hit(index, at) for index in everyone(world)]


def keeper_killed(world: World) -> Sequence[Hit]:
    """The keeper, which takes the server along, and a new `serve` at once, as systemd would."""
    at = time.perf_counter()
    world.keeper.kill()
    world.keeper.communicate()
    world.start_server()
    return [Hit(index, at) for index in everyone(world)]


def reload(world: World) -> Sequence[Hit]:
    at = time.perf_counter()
    try:
        world.run("reload")
    except subprocess.CalledProcessError as error:
        if "No such command" in error.stderr:
            raise NotAvailable("this version has no `glasshouse reload`") from error
        raise RuntimeError(f"glasshouse reload: {error.stderr}") from error
    return [Hit(index, at) for index in everyone(world)]


def restart(world: World) -> Sequence[Hit]:
    """SIGTERM to `serve`, and another `serve` when it has ended."""
    at = time.perf_counter()
    world.keeper.terminate()
    world.keeper.communicate()
    world.start_server()
    return [Hit(index, at) for index in everyone(world)]


HALF_OPEN_APP_S: Final = 25.0 + 10.0 + 1.0
"""Noticed within 25 s, then the app's grace of 10 s, then one webhook (DESIGN section 6): the app itself
never finds out and does not dial."""

SCENARIOS: Final = (
    Scenario("phone-flaps", phone_flaps),
    Scenario("30-drops", drops_in_a_row, within_s=60.0),
    Scenario("app-sockets", app_sockets),
    Scenario("kill-display", user_actor("display"), is_lossless=True),
    Scenario("kill-audio", user_actor("audio")),
    Scenario("kill-speech", user_actor("speech"), is_lossless=True),
    Scenario("kill-link", user_actor("link"), is_lossless=True),
    Scenario("kill-app", user_actor(f"apps/{PACKAGE}"), is_lossless=True),
    Scenario("kill-apps", user_actor("apps")),
    Scenario("kill-session", user_actor("session"), is_lossless=True),
    Scenario("kill-user", user_actor(""), sessions=1),
    Scenario("kill-directory", shared_actor("directory"), is_lossless=True),
    Scenario("kill-journal", shared_actor("journal"), is_lossless=True),
    Scenario("kill-snapshots", shared_actor("snapshots"), is_lossless=True),
    Scenario("kill-roster", shared_actor("roster"), is_lossless=True),
    Scenario("app-server-2s", app_server(2.0), sessions=1, aim_s=1.0),
    Scenario("app-server-12s", app_server(12.0), sessions=1, aim_s=1.0, within_s=45.0),
    Scenario("half-open-phones", half_open_phones, within_s=45.0),
    Scenario("half-open-apps", half_open_apps, sessions=1, aim_s=HALF_OPEN_APP_S, within_s=60.0),
    Scenario("server-killed", server_killed),
    Scenario("keeper-killed", keeper_killed, within_s=60.0),
    Scenario("reload", reload, is_lossless=True),
    Scenario("restart", restart, within_s=60.0),
)

__all__ = ["SCENARIOS", "Hit", "NotAvailable", "Scenario"]
