"""Claude Code: how it is started, so that nothing runs unasked and no secret goes further than it must.

It gets a configuration folder of the daemon's own, unless the user wants to share the one he uses himself. In
it the folder that it works in is marked as trusted, which only a folder of the daemon's allow-list can be. It
loads no settings of the project's: those allow tools and run hooks of their own, and a repository is not the
user. Its tools do not see the key, though they could read it from the program's environment.

It runs in its terminal and calls hooks, or has its terminal for nothing but its errors and speaks in lines of
JSON. Everything else is the same.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from actors.desktop_daemon import claude_headless, claude_run, observer
from actors.desktop_daemon.claude_headless import ClaudeHeadless
from actors.desktop_daemon.claude_hooks import HOOK_NAMES
from actors.desktop_daemon.claude_permission import Asking
from actors.desktop_daemon.claude_prompt import first_prompt
from actors.desktop_daemon.claude_run import ClaudeRun
from actors.desktop_daemon.ports import AgentOrder, TerminalAgent
from actors.desktop_daemon.screens import Screen
from actors.desktop_daemon.terminal_facts import (
    Describe,
    Described,
    HookReply,
    ProgramEffect,
    ProgramFact,
    Send,
)
from actors.language_ports import LanguageModel, LanguageModelError

from .agent_run import AgentRun, Launch
from .environment import agent_environment
from .hooks import HookListener
from .pipes import LinePipes
from .settings import TerminalSettings
from .shells import approval_ids, make_private, write_private

SECRETS: Final = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
_OURS: Final = (
    *SECRETS,
    *("ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL", "CLAUDE_CODE_MAX_RETRIES"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""What the program itself needs of the daemon's environment, where it is there."""

_ADAPTERS: Final = frozenset({"bash", "claude", "command", "python"})
"""An allow-list may name other adapters. Claude Code would stop at its start to warn of such a rule."""

_FIXED: Final = {
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
}
_STREAMING: Final = (
    "-p",
    *("--input-format", "stream-json"),
    *("--output-format", "stream-json"),
    "--verbose",
    *("--permission-prompt-tool", "stdio"),
)
_KEY_CHARACTERS: Final = 20
"""Of a key that was approved the program keeps the last so many."""


def open_claude(
    settings: TerminalSettings, order: AgentOrder, ours: Mapping[str, str], model: LanguageModel | None
) -> TerminalAgent:
    """Claude Code, as the settings want it."""
    is_kept = _has_session(_config_of(settings, ours), order.session_uuid)
    prompt = first_prompt(
        order.goal, is_resume=order.is_resume, lost_goal="" if is_kept else order.former_goal
    )
    going_on = first_prompt(order.goal, is_resume=True)
    asking = Asking(ids=approval_ids(order))
    if settings.claude_mode == "stream":
        speaking = ClaudeHeadless(asking=asking, prompts=(prompt,), going_on=going_on)
        return AgentRun(order, claude_headless, speaking, _Streaming(settings, order, ours))
    state = ClaudeRun(asking=asking, prompts=(prompt,), going_on=going_on)
    return AgentRun(order, claude_run, state, _InTerminal(settings, order, ours, model))


def find_claude(settings: TerminalSettings, ours: Mapping[str, str]) -> str | None:
    """The program; None where it is not installed."""
    return shutil.which(settings.claude, path=ours.get("PATH"))


class _Claude:
    """What both ways to run it have in common."""

    def __init__(self, settings: TerminalSettings, order: AgentOrder, ours: Mapping[str, str]) -> None:
        self._settings = settings
        self._order = order
        self._ours = ours
        self._folder = settings.folder / order.agent_id

    def clean(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _prepare(self, hooks: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, str]]:
        """Make its files; its command line and its environment."""
        make_private(self._folder)
        environment = {
            **agent_environment(self._ours, (*self._settings.kept_environment, *_OURS)),
            **_FIXED,
            "CLAUDE_ENV_FILE": str(self._folder / "tools.sh"),
        }
        config = _config_of(self._settings, self._ours)
        if not self._settings.shares_claude:
            environment["CLAUDE_CONFIG_DIR"] = str(config)
            self._seed(config)
        write_private(
            self._folder / "tools.sh", f"unset {' '.join((*SECRETS, 'CLAUDE_CODE_MESSAGING_TOKEN'))}\n"
        )
        own = msgspec.json.encode(self._own_settings(hooks))
        write_private(self._folder / "settings.json", own.decode())
        return self._argv(config), environment

    def _argv(self, config: Path) -> tuple[str, ...]:
        session = self._order.session_uuid
        return (
            find_claude(self._settings, self._ours) or self._settings.claude,
            # Without it this version runs commands unasked.
            *("--permission-mode", "default"),
            *("--settings", str(self._folder / "settings.json")),
            *("--setting-sources", "user"),
            "--strict-mcp-config",
            *(("--resume", session) if _has_session(config, session) else ("--session-id", session)),
        )

    def _own_settings(self, hooks: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "permissions": {
                "defaultMode": "default",
                "disableBypassPermissionsMode": "disable",
                "allow": [rule for rule in self._order.allowed if rule not in _ADAPTERS],
            },
            "hooks": hooks,
        }

    def _seed(self, config: Path) -> None:
        """Answer beforehand what the program asks at its first start here."""
        make_private(config)
        path = config / ".claude.json"
        try:
            known = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        except FileNotFoundError:
            known = {}
        except msgspec.DecodeError:
            return  # the program itself knows what to do about that
        wanted = _seeded(known, self._order.cwd, self._ours.get("ANTHROPIC_API_KEY", ""))
        if wanted != known:
            fresh = path.with_name(f".claude.json.{self._order.agent_id}")
            write_private(fresh, msgspec.json.encode(wanted).decode())
            os.replace(fresh, path)


class _InTerminal(_Claude):
    """Implements `agent_run.Program`."""

    def __init__(
        self,
        settings: TerminalSettings,
        order: AgentOrder,
        ours: Mapping[str, str],
        model: LanguageModel | None,
    ) -> None:
        super().__init__(settings, order, ours)
        self._model = model
        self._hooks: HookListener | None = None
        self._describe: Callable[[Screen], None] = lambda screen: None

    async def start(self, nursery: trio.Nursery, tell: Callable[[ProgramFact], None]) -> None:
        self._hooks = HookListener(tell)
        await self._hooks.start(nursery)
        model = self._model
        if model is not None:
            self._describe = lambda screen: nursery.start_soon(_observe, model, tell, screen)

    def launch(self) -> Launch:
        assert self._hooks is not None
        hook = {
            "type": "http",
            "url": self._hooks.url,
            "timeout": int(self._order.timeout_s) + 60,
            "headers": {"Authorization": f"Bearer {self._hooks.secret}"},
        }
        hooks = {name: [{"matcher": "", "hooks": [hook]}] for name in HOOK_NAMES}
        argv, environment = self._prepare(hooks)
        return Launch(argv=argv, environment=environment, tells_text=False)

    def drain(self) -> None:
        pass  # a hook that calls has called before the end

    def perform(self, effect: ProgramEffect) -> None:
        assert self._hooks is not None
        match effect:
            case HookReply():
                self._hooks.reply(effect.number, effect.body)
            case Describe():
                self._describe(effect.screen)
            case _:
                raise AssertionError(effect)


class _Streaming(_Claude):
    """Implements `agent_run.Program`."""

    def __init__(self, settings: TerminalSettings, order: AgentOrder, ours: Mapping[str, str]) -> None:
        super().__init__(settings, order, ours)
        self._pipes: LinePipes | None = None

    async def start(self, nursery: trio.Nursery, tell: Callable[[ProgramFact], None]) -> None:
        await trio.to_thread.run_sync(make_private, self._folder)
        self._pipes = LinePipes(self._folder, tell)
        self._pipes.start(nursery)

    def launch(self) -> Launch:
        assert self._pipes is not None
        (program, *rest), environment = self._prepare({})
        argv = self._pipes.redirected((program, *_STREAMING, *rest))
        return Launch(argv=argv, environment=environment)

    def drain(self) -> None:
        assert self._pipes is not None
        self._pipes.drain()

    def perform(self, effect: ProgramEffect) -> None:
        assert self._pipes is not None
        match effect:
            case Send():
                self._pipes.send(effect.line)
            case _:
                raise AssertionError(effect)


async def _observe(model: LanguageModel, tell: Callable[[ProgramFact], None], screen: Screen) -> None:
    """Ask about a screen; what goes wrong with that is no news of the agent."""
    with suppress(LanguageModelError):
        answer = await model.answer(observer.question(screen), timeout_s=observer.TIMEOUT_S)
        tell(Described(observer.note(answer.text)))


def _seeded(known: dict[str, Any], cwd: str, key: str) -> dict[str, Any]:
    projects = known.get("projects", {})
    keys = known.get("customApiKeyResponses", {"approved": [], "rejected": []})
    if key and key[-_KEY_CHARACTERS:] not in keys.get("approved", []):
        keys = {**keys, "approved": [*keys.get("approved", []), key[-_KEY_CHARACTERS:]]}
    trusted = {**projects.get(cwd, {}), "hasTrustDialogAccepted": True}
    return {
        "theme": "dark",
        **known,
        "hasCompletedOnboarding": True,
        "customApiKeyResponses": keys,
        "projects": {**projects, cwd: trusted},
    }


def _config_of(settings: TerminalSettings, ours: Mapping[str, str]) -> Path:
    if settings.shares_claude:
        return Path(ours.get("HOME", "/")) / ".claude"
    return settings.claude_config or settings.folder / "claude"


def _has_session(config: Path, session: str) -> bool:
    """Whether the program has kept anything of it; asked to resume what it does not know, it ends."""
    return any((config / "projects").glob(f"*/{session}.jsonl"))
