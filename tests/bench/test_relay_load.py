"""The relay bench's driver without a server: what it counts as lost, and which cores it takes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from typing import cast

import pytest

from bench import engine
from bench._load import FRAME_BYTES, Driver, Phone
from bench.raw import RawSocket, UpgradeRefusedError


class SentSocket:
    """Keeps what the driver sends."""

    late_bytes = b""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)


@pytest.fixture
def driver() -> Iterator[Driver]:
    driver = Driver(
        address=("127.0.0.1", 1),
        tokens={"ada@example.org": "t"},
        package="org.example.a",
        api_key="k",
        seed=1,
    )
    with closing(driver.webhook), closing(driver.poll):
        driver.phones[0].sock = cast(RawSocket, SentSocket())
        yield driver


def display(text: str) -> bytes:
    return json.dumps(
        {"type": "display_event", "layout": {"layoutType": "text_wall", "text": text}},
        separators=(",", ":"),
    ).encode()


def press(driver: Driver, at: float) -> Phone:
    phone = driver.phones[0]
    phone.next_press = at
    driver._send_frame(phone, at, 0.0)
    return phone


@pytest.mark.parametrize("is_measuring", [False, True])
def test_press_without_its_display_is_lost(driver: Driver, is_measuring: bool) -> None:
    driver.is_measuring = is_measuring

    phone = press(driver, 10.5)
    press(driver, 15.5)
    for text in ("10.5", "10.5", "Captions are on"):
        driver._phone_heard(phone, display(text))

    assert (2, 1) == (driver.result.presses, driver.result.presses_shown)
    assert (1 if is_measuring else 0) == len(driver.result.press_delays)


def test_frame_carries_its_time_and_its_number_and_has_its_length(driver: Driver) -> None:
    phone = driver.phones[0]
    phone.next_press = 1e9

    driver._send_frame(phone, 10.5, 0.0)
    [frame] = cast(SentSocket, phone.sock).sent
    driver._frame_arrived(phone, frame[8:])
    driver._frame_arrived(phone, frame[8:])

    assert FRAME_BYTES + 8 == len(frame)
    assert (2, 1) == (phone.received, driver.result.out_of_order)


@pytest.mark.parametrize(("allowed", "expected"), [({2, 5, 6}, [2, 5]), ({3}, [3, 3])])
def test_cores_are_taken_from_those_it_may_use(
    monkeypatch: pytest.MonkeyPatch, allowed: set[int], expected: list[int]
) -> None:
    taken: list[set[int]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: allowed)
    monkeypatch.setattr(os, "sched_setaffinity", lambda process, cores: taken.append(cores))

    engine.pin(0)
    engine.pin(1)

    assert [{core} for core in expected] == taken


REFUSED = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\n\r\n{}"


def test_phone_that_is_turned_away_comes_back_when_it_was_asked_to(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = driver.phones[0]
    dialled: list[str] = []
    monkeypatch.setattr(driver, "_open", lambda target, owner: dialled.append(target))

    driver.turned_away = [(105.0, phone)]
    driver._dial_again(104.9)
    assert [] == dialled
    driver._dial_again(105.0)
    driver._dial_again(106.0)
    assert [phone.target] == dialled


@pytest.mark.parametrize(("answer", "expected"), [(REFUSED, 5.0), ("HTTP/1.1 401 Unauthorized\r\n\r\n", 0.0)])
def test_refusal_says_when_to_come_back(answer: str, expected: float) -> None:
    assert expected == UpgradeRefusedError(answer).retry_after_s
