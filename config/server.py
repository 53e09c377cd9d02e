"""The server process: what `glasshouse serve`'s keeper starts, and starts again.

It inherits the listening socket, builds the real world around the tree, says that it is ready, and serves
until it is told to stop or its keeper is gone. Exit status: 0 after an orderly end, 78 when a setting is
wrong (the keeper then gives up), 74 when the store cannot be opened (the keeper gives up if it is the first
server).
"""

from __future__ import annotations

import functools
import gc
import logging
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from actors.domain import Ports, Urls
from actors.ports import StorageError
from actors.service import ServiceSpec
from actors.whereabouts import whose
from adapters.lc3 import Lc3Codec
from adapters.listener.child import (
    Inherited,
    end_with_keeper,
    hand_over_ordered,
    inherit,
    lifeline_closed,
    say_kept,
    say_ready,
    say_standing,
)
from adapters.listener.handing import HandingError
from adapters.listener.keeper import EX_CONFIG, EX_IOERR
from adapters.metrics import process_figures
from adapters.telemetry import Allowances, LibraryLogs, LineLimits, LogTelemetry, MemoryLogs
from adapters.tokens import Revocations
from adapters.udp import NaclBoxes
from adapters.vad import NoiseFloorVoices
from adapters.webhooks import HttpWebhooks
from adapters.websocket import PumpLoad
from config.assembly import World, assemble
from config.child_command import ServerStart, parse
from config.core_tokens import console_keys, core_tokens
from config.data_directory import DataDirectoryError, ServerFile, make_data_directory
from config.front import FrontDoorServices
from config.giving import Giver
from config.language_model import model_of
from config.peers import peers_of
from config.revoking import RevocationWatch, hang_up
from config.runtime_events import RestartWatch, report
from config.settings import Settings, base_urls
from config.sources import SettingsError
from config.speaking import speaking_of
from config.speech import speech_of
from config.storage import open_store, watch_of
from config.taking import Taker
from config.tracing import tracer_of
from config.translation import translator_of
from runtime import ActorSystem, Watchdog, current_actor, open_system

CLOSE_PORTS_S = 3.0


class CannotBegin(Exception):  # noqa: N818 - says what happened
    """What the server works on cannot be used: one sentence for who started it."""


def main() -> None:
    try:
        start = parse(sys.argv[1:])
        inherited = inherit(start.inherited or "")
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(EX_CONFIG)
    end_with_keeper(inherited.lifeline)
    reasons: list[str] = []
    try:
        trio.run(serve, start, inherited)
    except* CannotBegin as group:
        reasons += _sentences(group)
    if reasons:
        print("glasshouse serve:", *reasons, file=sys.stderr)
        sys.exit(EX_IOERR)


def _sentences(group: BaseExceptionGroup[BaseException]) -> list[str]:
    """What each of them says."""
    return [
        sentence
        for error in group.exceptions
        for sentence in (_sentences(error) if isinstance(error, BaseExceptionGroup) else [str(error)])
    ]


async def serve(start: ServerStart, inherited: Inherited) -> None:
    """Serve until SIGTERM, SIGINT or the keeper's end."""
    settings = start.loaded.settings
    host, port = inherited.listening.getsockname()[:2]
    public, internal = base_urls(settings, host, port)
    server_file = ServerFile.fresh(internal)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        watchdog, load = Watchdog(limit_s=settings.watchdog_s), PumpLoad()
        logs = MemoryLogs(lines=settings.console.log_lines, sessions=settings.console.log_sessions)
        async with (
            open_system("glasshouse", watchdog=watchdog) as system,
            open_ports(system, settings, load, logs) as (ports, media, revocations),
        ):
            front = FrontDoorServices(
                listening=inherited.listening,
                settings=settings,
                telemetry=ports.telemetry,
                wall=system.clock.wall,
                next_id=lambda: system.ids.next("connection"),
                load=load,
                is_taking_over=inherited.taking is not None,
            )
            watch = watch_of(settings, ports.store, ports.telemetry)
            world = World(
                ports=ports,
                media=media,
                front=front.services,
                udp=front.udp,
                admin_token=server_file.admin_token,
                make_secret=lambda: secrets.token_urlsafe(32),
                console_keys=console_keys(settings),
                health=watch.health,
                is_taking_over=inherited.taking is not None,
                process=process_figures,
                logs=logs,
            )
            tree = await system.spawn(
                assemble(system, settings=settings, urls=Urls(public, internal), world=world)
            )
            _calm_the_collector()
            taker = None
            if inherited.taking is not None:
                taker = Taker(inherited.taking, system, tree.path, front, settings, ports.telemetry)

            async def live() -> None:
                if taker is not None:
                    await _take_over(taker, inherited)
                server_file.leave(settings.data, ports.telemetry)
                say_ready(inherited)
                ports.telemetry.info("serving", url=public)
                for notice in start.loaded.notices:
                    ports.telemetry.warning("setting_noticed", what=notice)
                giver = Giver(system, tree.path, front, ports.telemetry)
                while True:
                    to = await hand_over_ordered(inherited)
                    say_kept(inherited, await giver.hand_over(to))

            hanging_up = functools.partial(hang_up, system, tree.path, telemetry=ports.telemetry)
            follow = functools.partial(revocations.run, hanging_up)
            try:
                await _until_told_to_stop(signals, inherited, watch.run, follow, live)
                ports.telemetry.info("stopping")
                await front.stop()
                # Before the ports: the journal's last commits still find their store.
                system.stop_child(tree)
                await system.stopped(tree)
            finally:
                server_file.remove(settings.data)
    ports.telemetry.info("stopped")


def _calm_the_collector() -> None:
    """Keep the garbage collector from walking the whole heap again and again.

    Full collections grow with the sessions: at 1,000 of them one held the loop for 150 ms. What is there
    before the first session never becomes garbage, and what sessions leave behind is freed by counting
    references; cycles are rare, so they can wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@asynccontextmanager
async def open_ports(
    system: ActorSystem,
    settings: Settings,
    load: PumpLoad | None = None,
    logs: MemoryLogs | None = None,
) -> AsyncIterator[tuple[Ports, Sequence[ServiceSpec], RevocationWatch]]:
    """The real outside, the services that belong to it, and what follows the store's revoked tokens; closed
    on the way out.

    Args:
      load: the engine's own, where there is an engine.
      logs: what keeps the end of each session's log.

    Raises:
      CannotBegin: the store or the token secret cannot be opened.
    """
    telemetry = open_log(settings, wall=system.clock.wall, logs=logs)
    library_logs = LibraryLogs(telemetry)
    logging.getLogger().addHandler(library_logs)
    system.events.listen(lambda event: report(event, telemetry))
    system.events.listen(RestartWatch(telemetry, system.clock.now).heard)
    speech, recognisers = speech_of(settings, telemetry)
    media, peers = peers_of(settings, telemetry)
    model, models = model_of(settings, telemetry)
    translator = translator_of(settings, model)
    tracer, traces = tracer_of(settings, telemetry, system.clock)
    async with AsyncExitStack() as stack:
        stack.callback(logging.getLogger().removeHandler, library_logs)
        try:
            make_data_directory(settings)
            revoked = Revocations()
            tokens = core_tokens(settings, wall=system.clock.wall, revocations=revoked)
            speaking = speaking_of(settings, telemetry)
            store = await stack.enter_async_context(open_store(settings, telemetry))
            revocations = RevocationWatch(store, revoked, telemetry, every_s=settings.token_check_s)
            await revocations.read()
        except (DataDirectoryError, StorageError) as error:
            raise CannotBegin(str(error)) from error
        voices = NoiseFloorVoices()
        if speech:
            voices.warm_up()
        webhooks = HttpWebhooks(settings.webhooks)
        # Importing httpx takes 0.4 s, which the first webhook would hold the loop for.
        await webhooks.warm_up()
        try:
            ports = Ports(
                store=store,
                webhooks=webhooks,
                speech=speech,
                tokens=tokens,
                telemetry=telemetry,
                load=load or PumpLoad(),
                lc3=Lc3Codec(),
                boxes=NaclBoxes(),
                media=media,
                voices=voices,
                translator=translator,
                language_model=model,
                speaking=speaking,
                tracer=tracer,
            )
            yield ports, (*recognisers, *peers, *models, *traces), revocations
        finally:
            with trio.move_on_after(CLOSE_PORTS_S, shield=True):
                await webhooks.aclose()
                if translator is not None:
                    await translator.aclose()


def open_log(
    settings: Settings, *, wall: Callable[[], float], logs: MemoryLogs | None = None
) -> LogTelemetry:
    """The log on standard error, as the settings want it."""
    limits = LineLimits(burst_lines=settings.log_burst_lines, interval_s=settings.log_interval_s)
    return LogTelemetry(
        sys.stderr,
        level=settings.log_level,
        form="coloured" if settings.log_format == "text" and sys.stderr.isatty() else settings.log_format,
        limits=Allowances(limits),
        wall=wall,
        kept=logs if settings.console.enabled else None,
        whose=lambda: whose(current_actor()),
    )


async def _take_over(taker: Taker, inherited: Inherited) -> None:
    try:
        taker.greet()
        say_standing(inherited)
        await taker.take_over()
    except HandingError as error:
        raise CannotBegin(f"nothing was taken over: {error}") from error


async def _until_told_to_stop(
    signals: AsyncIterator[int], inherited: Inherited, *work: Callable[[], Awaitable[object]]
) -> None:
    """Do this work; return at the first signal, or when the keeper is gone."""

    async def watch_keeper(scope: trio.CancelScope) -> None:
        await lifeline_closed(inherited.lifeline)
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_keeper, nursery.cancel_scope)
        for one in work:
            nursery.start_soon(one)
        async for _ in signals:
            nursery.cancel_scope.cancel()
            break


if __name__ == "__main__":
    main()
