"""How `glasshouse demo` ends: by a signal, without a reader, with words that make no sense."""

from __future__ import annotations

import importlib.abc
import io
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from clients.cloud import Cloud, CloudError
from clients.demo import __main__, program
from clients.demo.screen import OutputClosedError, Screen


def _run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["demo", *words])
    return program.main()


class _Clouds:
    """Clouds that do what a test says instead of starting."""

    def __init__(self) -> None:
        self.ended = 0
        self.happens: BaseException | signal.Signals = CloudError("no cloud today")

    @asynccontextmanager
    async def open_cloud(self, data: Path, settings: Sequence[str]) -> AsyncIterator[Cloud]:
        try:
            async with trio.open_nursery():
                if isinstance(self.happens, BaseException):
                    raise self.happens
                signal.raise_signal(self.happens)
                with trio.fail_after(5):
                    await trio.sleep_forever()
                yield Cloud("http://127.0.0.1:1", data, data)
        finally:
            self.ended += 1


@pytest.fixture
def clouds(monkeypatch: pytest.MonkeyPatch) -> _Clouds:
    found = _Clouds()
    monkeypatch.setattr(program, "open_cloud", found.open_cloud)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_the_demo_in_order_and_without_a_word(
    clouds: _Clouds,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    clouds.happens = number

    assert 128 + number == _run(monkeypatch)
    assert 1 == clouds.ended
    assert "" == capsys.readouterr().err


def test_ctrl_c_before_the_loop_runs_ends_it_without_a_word(
    clouds: _Clouds, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "recordings", lambda: signal.raise_signal(signal.SIGINT))

    assert 130 == _run(monkeypatch)
    assert "" == capsys.readouterr().err


def test_ctrl_c_while_the_program_is_loaded_just_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, name: str, *_: object) -> None:
            if name == "clients.demo.program":
                seen.append(signal.getsignal(signal.SIGINT))

    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "clients.demo.program")
    monkeypatch.delattr(sys.modules["clients.demo"], "program")
    monkeypatch.setattr(sys, "argv", ["demo", "--help"])
    before = signal.getsignal(signal.SIGINT)

    status = __main__.main()

    assert (0, [signal.SIG_DFL]) == (status, seen)
    assert before == signal.getsignal(signal.SIGINT)


def test_a_cloud_that_does_not_come_up_is_one_sentence(
    clouds: _Clouds, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == _run(monkeypatch)
    assert "glasshouse demo: no cloud today\n" == capsys.readouterr().err


def test_a_reader_that_has_gone_ends_the_demo_without_a_word(
    clouds: _Clouds, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clouds.happens = OutputClosedError()
    spare = os.open(os.devnull, os.O_WRONLY)
    monkeypatch.setattr(sys.stdout, "fileno", lambda: spare, raising=False)

    assert 141 == _run(monkeypatch)
    assert "" == capsys.readouterr().err
    os.close(spare)


def test_a_screen_without_a_reader_says_so() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    out = io.TextIOWrapper(io.FileIO(writing, "w"), write_through=True)

    with out, pytest.raises(OutputClosedError):
        Screen(out).say("hello")


def test_a_mistake_of_the_program_keeps_its_traceback(
    clouds: _Clouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    clouds.happens = LookupError("a mistake")

    with pytest.raises(LookupError, match="a mistake"):
        _run(monkeypatch)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--sentences", "0"], "0 is not in the range x>=1"),
        (["--sentences", "-3"], "-3 is not in the range"),
        (["--say", ""], "expected words, got ''"),
        (["--say", "!!!"], "expected words, got '!!!'"),
        (["--wav", "no-such-file.wav"], "File 'no-such-file.wav' does not exist"),
        (["--say", "hello", "--sentences", "1"], "exclude each other"),
    ],
)
def test_words_that_make_no_sense_are_refused_before_anything_starts(
    clouds: _Clouds,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    expected: str,
) -> None:
    assert 2 == _run(monkeypatch, *words)
    assert expected in capsys.readouterr().err
    assert 0 == clouds.ended
