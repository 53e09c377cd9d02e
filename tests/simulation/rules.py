"""What must hold of every run of the campaign, whatever its seed did."""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import trio

from actors.session.state import loading
from actors.webrtc.settings import WebrtcSettings
from config.settings import Settings
from runtime.testing import World, simulate
from tests.simulation.campaign import SECOND, Campaign
from tests.simulation.faults import do_faults, is_provoked
from tests.simulation.peers import CAPTIONS, PACKAGES, App, Trouble, Wearer
from tests.simulation.webrtc_faults import WEBRTC_KINDS, WebrtcFaults, peers_gone_wrong

USERS = ("ada@example.org", "bob@example.org")
FAULTS_S = 40.0
BEYOND_S = 2.0
SHORT_S = 0.5  # a message is under way no longer, if nothing holds it up
HELD_S = 4.0  # and no longer than this if something does
WITH_WEBRTC = Settings(
    jwt_secret="simulated, and thirty-two bytes or more", webrtc=WebrtcSettings(enabled=True)
)
ENDS_SESSIONS = frozenset({"app half-open", "down", "chosen"})
"""Troubles after which an app may hear `on_session` again: its socket, or its server, failed for good."""


class Red(AssertionError):  # noqa: N818 - the colour of a seed
    """An invariant that did not hold; its text says which and of whom."""


@dataclass(frozen=True)
class Outcome:
    """Of a green run.

    Attributes:
      virtual_s: how long it took in its own time.
      settled_s: from the last fault until all was well.
      presses, delivered: how many presses were sent; how many times one reached an app.
      crashes: actors that were made to crash.
      faults: how often each kind was done.
      fault_points: how often each of production's was reached.
    """

    virtual_s: float
    settled_s: float
    presses: int
    delivered: int
    crashes: int
    faults: dict[str, int]
    fault_points: dict[str, int]


@dataclass(frozen=True)
class Verdict:
    """Of one seed: the first rule that did not hold, or the outcome; and every step of the run."""

    seed: int
    red: str | None
    outcome: Outcome | None
    trace: tuple[str, ...]


def judge(seed: int, *, has_webrtc: bool = False) -> Verdict:
    """Run one seed. The same seed gives the same verdict, trace and all."""
    _collect_rarely()
    worlds: list[World] = []

    async def scenario(world: World) -> Outcome:
        worlds.append(world)
        return await run(world, has_webrtc=has_webrtc)

    try:
        done = simulate(seed, scenario)
    except Exception as error:
        return Verdict(seed, _first_of(error), None, worlds[0].trace)
    return Verdict(seed, None, done.result, done.trace)


@functools.cache
def _collect_rarely() -> None:
    """A seed makes little garbage in cycles and much that lives: its collection took a fifth of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def run(world: World, *, has_webrtc: bool = False) -> Outcome:
    """One seed, from a quiet start over its faults to a quiet end.

    Args:
      has_webrtc: phones have it and may use it, and its peers fail like everything else.

    Raises:
      Red: the first rule that did not hold.
    """
    before = trio.lowlevel.current_statistics().tasks_living
    async with trio.open_nursery() as nursery:
        settings = WITH_WEBRTC if has_webrtc else None
        campaign = Campaign(world, nursery, settings=settings, has_webrtc=has_webrtc)
        await campaign.start_server()
        await campaign.add_apps()
        await _begin(campaign)
        async with trio.open_nursery() as traffic:
            for wearer in campaign.wearers:
                traffic.start_soon(campaign.live, wearer)
            if has_webrtc:
                # Each twice: peers are what this run is about.
                kinds = WEBRTC_KINDS * 2
                await do_faults(campaign, for_s=FAULTS_S, make=WebrtcFaults, further=kinds)
            else:
                await do_faults(campaign, for_s=FAULTS_S)
            traffic.cancel_scope.cancel()
        settled_s = await _settle(campaign)
        await use(campaign)
        for problem in _judge(campaign):
            raise Red(problem)
        check_shape(campaign)
        if (wrong := peers_gone_wrong(campaign)) is not None:
            raise Red(wrong)
        await campaign.stop_server()
        if campaign.media.living():
            raise Red("leak: peers outlive their server's end")
        nursery.cancel_scope.cancel()
    left = trio.lowlevel.current_statistics().tasks_living - before
    if left:
        raise Red(f"leak: {left} tasks are left")
    return Outcome(
        virtual_s=trio.current_time(),
        settled_s=settled_s,
        presses=sum(len(wearer.presses) for wearer in campaign.wearers),
        delivered=sum(len(seen) for app in campaign.apps.values() for seen in app.pressed.values()),
        crashes=len(campaign.crashes),
        faults=campaign.faults,
        fault_points=world.faults.reached,
    )


async def _begin(campaign: Campaign) -> None:
    for user in USERS:
        wearer = campaign.put_on(user)
        await wearer.glasses.wait_for(lambda phone: phone.is_connected)
        wearer.wanted = set(campaign.chance.choice((PACKAGES, PACKAGES, PACKAGES[:1], PACKAGES[1:])))
        for package in sorted(wearer.wanted):
            await wearer.glasses.start_app(package)
    await trio.sleep(2.5)
    for problem in wrong_now(campaign):
        raise Red(f"before any fault: {problem}")


async def _settle(campaign: Campaign) -> float:
    """Wait until all is well, for no longer than the peers' own waits and 2 s."""
    healed = trio.current_time()
    await trio.sleep(SHORT_S)  # a dial that a fault left under way may still arrive, and end another
    limit = healed + _patience(campaign, healed) + BEYOND_S
    while problems := list(wrong_now(campaign)):
        if trio.current_time() >= limit:
            raise Red(f"not well {trio.current_time() - healed:.1f} s after the faults: {problems[0]}")
        await trio.sleep(0.1)
    return trio.current_time() - healed


def _patience(campaign: Campaign, now: float) -> float:
    """The longest that a peer, or the wait for one that keeps its own rules, may still take."""
    waits = [5.0]
    for trouble in campaign.troubles:
        ago = now - trouble.at
        if trouble.kind in ("phone half-open", "takeover"):
            waits.append(5.0 + 5.0 + 0.5 + 5.0 - ago)  # ping, pong, close, dial
        elif trouble.kind == "app half-open":
            waits.append(25.0 + 10.0 - ago)
        elif trouble.kind in ("app reset", "kill", "down", "up"):
            waits.append(10.0 + 5.0 - ago)  # the SDK's retries fail; a failed webhook's pause
        elif trouble.kind == "chosen":
            waits.append(12.0 - ago)
    return max(waits)


def wrong_now(campaign: Campaign) -> Iterator[str]:
    """What is not as it should be at this moment."""
    for wearer in campaign.wearers:
        user, glasses = wearer.user, wearer.glasses
        if not campaign.is_phone_well(wearer):
            yield f"phone: {user} is not connected ({glasses.last_end!r}, {glasses.refusal!r})"
            continue
        starting = _starting(campaign, user)
        if starting:
            yield f"start: {sorted(starting)} of {user} are under way"
        shown = set(glasses.running_apps)
        alive = {package for package in PACKAGES if campaign.is_app_well(user, package)}
        if shown != alive:
            yield f"running list: {user} is shown {sorted(shown)}, alive are {sorted(alive)}"
        document = campaign.documents.users.get(user)
        stored = set(document.running_apps if document else ())
        if shown != stored:
            yield f"running list: {user} is shown {sorted(shown)}, stored are {sorted(stored)}"
        certain = set(PACKAGES) - wearer.is_fickle
        if shown & certain != wearer.wanted & certain:
            yield f"running list: {user} wants {sorted(wearer.wanted)} and is shown {sorted(shown)}"
        if glasses.is_microphone_on != (CAPTIONS in shown):
            yield f"microphone: {user}'s is {glasses.is_microphone_on} while {sorted(shown)} run"


def _starting(campaign: Campaign, user: str) -> set[str]:
    """Apps whose first socket is still awaited: the phone does not list them yet."""
    system = campaign.server.system
    session = system.find(f"/glasshouse/users/{user}/session")
    state = None if session is None else system.state_of(session)
    return set() if state is None else set(loading(state))


async def use(campaign: Campaign) -> None:
    """Everything works: a press reaches every app that runs, words reach the lens."""
    await trio.sleep(SHORT_S)  # what an app subscribes to is still under way
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for wearer in campaign.wearers:
            await wearer.press()
            nursery.start_soon(wearer.glasses.play, SECOND * 3)
    await trio.sleep(1.0)
    for wearer in campaign.wearers:
        for package in wearer.glasses.running_apps:
            seen = campaign.apps[package].pressed.get(wearer.user, [])
            if seen[-1:] != [wearer.count]:
                raise Red(f"press: {wearer.user}'s last did not reach {package}")
        if CAPTIONS in wearer.glasses.running_apps:
            heard = campaign.apps[CAPTIONS].heard.get(wearer.user, [])
            if not heard or heard[-1] < began:
                raise Red(f"captions: {wearer.user}'s words do not reach the app")
            lens = wearer.glasses.lens  # what it shows already is not sent again
            if "we" not in lens.text and not any(
                shown.at >= began and "we" in shown.text for shown in lens.history
            ):
                raise Red(f"captions: {wearer.user} sees no words")
    for problem in wrong_now(campaign):
        raise Red(f"in use: {problem}")


def _judge(campaign: Campaign) -> Iterator[str]:
    """The rules that look back over the run."""
    for at, path, error in campaign.crashes:
        if not is_provoked(error):
            yield f"crash: {path} at {at:.3f}: {error!r}"
    for wearer in campaign.wearers:
        for app in campaign.apps.values():
            yield from _judge_presses(campaign, wearer, app)
            yield from _judge_beginnings(campaign, wearer, app)


def _judge_presses(campaign: Campaign, wearer: Wearer, app: App) -> Iterator[str]:
    user = wearer.user
    seen = app.pressed.get(user, [])
    for earlier, later in pairwise(seen):
        if later <= earlier:
            word = "twice" if later == earlier else "out of order"
            yield f"press: {app.package} got {user}'s {later} after {earlier}, {word}"
    got = set(seen)
    for number, at in wearer.presses:
        if number not in got and not _is_excused(campaign, wearer, app, at):
            yield f"press: {app.package} did not get {user}'s {number} of {at:.3f}, and nothing was announced"


def _is_excused(campaign: Campaign, wearer: Wearer, app: App, at: float) -> bool:
    """Whether a connection on the press's way was broken, or not yet there, or an actor died over it."""
    user, package = wearer.user, app.package
    held = any(one.kind == "late" and at - HELD_S <= one.at <= at + SHORT_S for one in campaign.troubles)
    until = at + (HELD_S if held else SHORT_S)
    if any(at - SHORT_S <= crashed <= until for crashed, _, _ in campaign.crashes):
        return True
    acked = max((one for one in wearer.acks() if one <= at), default=None)
    begun = max((one for one in app.acks.get(user, ()) if one <= at - SHORT_S), default=None)
    if acked is None or begun is None:
        return True
    for trouble in campaign.troubles:
        if trouble.kind == "late":
            continue
        if trouble.hits_phone(user) and acked - SHORT_S <= trouble.at <= until:
            return True
        if trouble.hits_app(user, package) and begun - SHORT_S <= trouble.at <= until:
            return True
    return False


def _judge_beginnings(campaign: Campaign, wearer: Wearer, app: App) -> Iterator[str]:
    """No app hears `on_session` again unless its socket or its server failed beyond the grace."""
    for earlier, later in pairwise(app.began.get(wearer.user, [])):
        between = [
            one
            for one in campaign.troubles
            if earlier - HELD_S <= one.at <= later and one.hits_app(wearer.user, app.package)
        ]
        if not any(one.kind in ENDS_SESSIONS for one in between) and not _is_blind(campaign, between):
            kinds = [one.kind for one in between]
            yield f"on_session: {app.package} again at {later:.3f} for {wearer.user} after {kinds}"


def _is_blind(campaign: Campaign, between: list[Trouble]) -> bool:
    """Whether a server had to begin while its store did not answer: it cannot know what there was."""
    stores = [one for one in campaign.troubles if one.kind.startswith("store")]
    return any(abs(store.at - one.at) < 8.0 for one in between if one.kind == "kill" for store in stores)


def check_shape(campaign: Campaign) -> None:
    """The tree and the connections are those of what runs, and nothing more."""
    server = campaign.server
    paths = {node.path.removeprefix("/glasshouse/") for node in server.system.tree().walk()}
    expected_apps = {
        f"users/{wearer.user}/apps/{package}"
        for wearer in campaign.wearers
        for package in wearer.glasses.running_apps
    }
    apps = {path for path in paths if "/apps/" in path}
    if apps != expected_apps:
        raise Red(f"leak: app actors {sorted(apps ^ expected_apps)}")
    users = {path.split("/")[1] for path in paths if path.startswith("users/")}
    if users != set(USERS):
        raise Red(f"leak: users {sorted(users)}")
    engine = server._engine.now
    assert engine is not None
    connections = len(engine.connections())
    if connections != len(USERS) + len(expected_apps):
        raise Red(f"leak: {connections} connections for {len(USERS)} phones and {len(expected_apps)} apps")


def _first_of(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, Red) else repr(error)
