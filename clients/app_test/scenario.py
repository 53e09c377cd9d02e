"""What the scripted wearer does, and what is to be seen then: a file of TOML.

    [app]
    package = "org.example.hello"
    command = ["python3", "app.py"]
    permissions = ["MICROPHONE"]

    [[step]]
    sees = "Hello"

    [[step]]
    says = "good morning"
    sees = "good morning"
    within_s = 5

A step does at most one thing, then waits until all of its expectations hold.
"""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

FILE_NAME: Final = "wearer.toml"

Name = Annotated[str, Meta(min_length=1)]


class ScenarioError(Exception):
    """The file is not there, or not what was expected; the message says where."""


class App(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The app under test.

    Attributes:
      package: its package name.
      command: starts its server, in the file's folder. It is told PORT, API_KEY and PACKAGE_NAME.
      permissions: as `glasshouse app add --permission` takes them.
      type: background, or standard for one that has the lens to itself.
      app_file: beside this file, with tools and settings, as `glasshouse app add --app-file` takes it.
      ready_s: how long it may take to listen on PORT.
    """

    package: Name
    command: Annotated[tuple[Name, ...], Meta(min_length=1)]
    permissions: tuple[str, ...] = ()
    type: Literal["background", "standard"] = "background"
    app_file: Name | None = None
    ready_s: Annotated[float, Meta(gt=0)] = 20.0

    def words(self) -> list[str]:
        """Its command; `python3` is the one that has the SDK: this one."""
        program, *rest = self.command
        return [sys.executable if program in {"python", "python3"} else program, *rest]

    def catalogue(self, folder: Path) -> list[str]:
        """What `glasshouse app add` is told of it, beside name, address and key."""
        file = [] if self.app_file is None else ["--app-file", str(folder / self.app_file)]
        permissions = [word for name in self.permissions for word in ("--permission", name)]
        return ["--type", self.type, *permissions, *file]


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step.

    Attributes:
      press: a button, for a moment; hold: for long.
      head: up or down. touch: a gesture on the temple.
      says: words for the microphone, which are understood exactly.
      battery: the glasses' battery in percent.
      drop: the phone loses its connection and comes back.
      restart: the app's server is killed and started again.
      stop, start: the wearer ends the app, or starts it again.
      sees: a pattern to be found in what stands on the lens; sees_not: one that is not to be found there.
      dashboard: a pattern to be found in the dashboard.
      within_s: how long that may take.
    """

    press: Name | None = None
    hold: Name | None = None
    head: Literal["up", "down"] | None = None
    touch: Name | None = None
    says: Annotated[str, Meta(pattern=r"\S")] | None = None
    battery: Annotated[float, Meta(ge=0, le=100)] | None = None
    drop: bool = False
    restart: bool = False
    stop: bool = False
    start: bool = False
    sees: str | None = None
    sees_not: str | None = None
    dashboard: str | None = None
    within_s: Annotated[float, Meta(gt=0)] = 5.0

    @property
    def actions(self) -> tuple[str, ...]:
        """What it does, in words."""
        said = [
            f"{name} {shlex.quote(str(value))}"
            for name in ("press", "hold", "head", "touch", "says", "battery")
            if (value := getattr(self, name)) is not None
        ]
        return (*said, *(name for name in ("drop", "restart", "stop", "start") if getattr(self, name)))

    @property
    def expectations(self) -> tuple[str, ...]:
        """What is expected, in words."""
        names = ("sees", "sees_not", "dashboard")
        return tuple(f"{name} {value!r}" for name in names if (value := getattr(self, name)) is not None)

    def __str__(self) -> str:
        return ", ".join((*self.actions, *self.expectations))


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. `settings` are the cloud's, each NAME=VALUE."""

    app: App
    step: Annotated[tuple[Step, ...], Meta(min_length=1)]
    settings: tuple[str, ...] = ()

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Every word that the wearer says, once."""
        spoken = (word for step in self.step for word in (step.says or "").split())
        return tuple(dict.fromkeys(spoken)) or ("nothing",)

    def spoken(self, text: str) -> tuple[int, ...]:
        """The numbers of its words in the vocabulary."""
        return tuple(self.vocabulary.index(word) for word in text.split())


def read(path: Path) -> Scenario:
    """The scenario in a file, or in `wearer.toml` of a folder.

    Raises:
      ScenarioError
    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        scenario = msgspec.convert(document, Scenario)
    except OSError as error:
        raise ScenarioError(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ScenarioError(f"{file}: {error}") from error
    for number, step in enumerate(scenario.step, start=1):
        problem = _problem(step)
        if problem:
            raise ScenarioError(f"{file}: step {number} {problem}")
    return scenario


def _problem(step: Step) -> str:
    if not step.actions and not step.expectations:
        return "does nothing and expects nothing"
    if len(step.actions) > 1:
        return f"does more than one thing: {', '.join(step.actions)}"
    for name in ("sees", "sees_not", "dashboard"):
        try:
            re.compile(getattr(step, name) or "")
        except re.error as error:
            return f"has a pattern in {name!r} that is none: {error}"
    return ""
