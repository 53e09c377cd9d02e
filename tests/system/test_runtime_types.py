"""A wrong message is a type error: mypy is run on snippets as a user of the runtime would write them."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

HEAD = """
from __future__ import annotations
from dataclasses import dataclass
from runtime import Actor, ActorSystem, ChildSpec, DynamicSupervisor, Key, Recipient, Ref, ReplyTo, TaskActor

@dataclass(frozen=True)
class Add:
    amount: int

@dataclass(frozen=True)
class Read:
    reply_to: ReplyTo[int]

Message = Add | Read

class Counter(Actor[Message]):
    def receive(self, message: Message) -> None: ...

class SlowCounter(TaskActor[Message]):
    async def receive(self, message: Message) -> None: ...

KEY: Key[Message] = Key("counter")
"""

GOOD = {
    "tell": "def f(ref: Ref[Message]) -> None: ref.tell(Add(1))",
    "a ref of more is a ref of less": "def f(ref: Ref[Message]) -> Ref[Add]: return ref",
    "a ref is a recipient": "def f(ref: Ref[Message]) -> Recipient[Add]: return ref",
    "a reply is a recipient": "def f(reply: ReplyTo[int]) -> Recipient[int]: return reply",
    "ask": "async def f(ref: Ref[Message]) -> int: return await ref.ask(Read)",
    "spawn": "async def f(system: ActorSystem) -> None:\n"
    "    ref = await system.spawn(ChildSpec('c', Counter))\n    ref.tell(Add(1))",
    "spawn a task actor": "async def f(system: ActorSystem) -> None:\n"
    "    ref = await system.spawn(ChildSpec('c', SlowCounter))\n    ref.tell(Add(1))",
    "registry": "def f(system: ActorSystem) -> Ref[Message] | None: return system.registry.find(KEY)",
    "timer": "class A(Actor[Add]):\n    def receive(self, message: Add) -> None:\n"
    "        self.set_timer('t', 1, Add(1))",
}

BAD = {
    "tell": "def f(ref: Ref[Message]) -> None: ref.tell('wrong')",
    "send": "async def f(ref: Ref[Message]) -> None: await ref.send('wrong', timeout_s=1)",
    "a ref of less is no ref of more": "def f(ref: Ref[Add]) -> Ref[Message]: return ref",
    "ask": "async def f(ref: Ref[Message]) -> str: return await ref.ask(Read)",
    "ask with a wrong message": "async def f(ref: Ref[Add]) -> int: return await ref.ask(Read)",
    "reply": "def f(message: Read) -> None: message.reply_to.tell('wrong')",
    "spawned": "async def f(system: ActorSystem) -> None:\n"
    "    ref = await system.spawn(ChildSpec('c', Counter))\n    ref.tell('wrong')",
    "spawned task actor": "async def f(system: ActorSystem) -> None:\n"
    "    ref = await system.spawn(ChildSpec('c', SlowCounter))\n    ref.tell('wrong')",
    "under something that is no supervisor": "async def f(system: ActorSystem, ref: Ref[Add]) -> None:\n"
    "    await system.spawn(ChildSpec('c', Counter), under=ref)",
    "timer": "class A(Actor[Add]):\n    def receive(self, message: Add) -> None:\n"
    "        self.set_timer('t', 1, 'wrong')",
    "outcome of a task": "class A(Actor[Add]):\n    def receive(self, message: Add) -> None:\n"
    "        self.start(work, then=str)\nasync def work() -> int: return 1",
    "registry": "def f(system: ActorSystem) -> Ref[str] | None: return system.registry.find(KEY)",
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Mypy's words for each snippet, all checked in one run."""
    folder = tmp_path_factory.mktemp("snippets")
    files = {}
    for kind, snippets in (("good", GOOD), ("bad", BAD)):
        for number, (name, snippet) in enumerate(snippets.items()):
            path = folder / f"{kind}_{number}.py"
            path.write_text(HEAD + snippet + "\n")
            files[f"{kind} {name}"] = path
    answer = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *map(str, files.values())],
        cwd=ROOT,
        env={"MYPYPATH": str(ROOT), "PATH": "", "MYPY_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert answer.returncode in (0, 1), answer.stderr
    return {
        name: "\n".join(line for line in answer.stdout.splitlines() if path.name in line)
        for name, path in files.items()
    }


@pytest.mark.parametrize("name", GOOD)
def test_what_is_right_passes(verdicts: dict[str, str], name: str) -> None:
    assert verdicts[f"good {name}"] == ""


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_a_type_error(verdicts: dict[str, str], name: str) -> None:
    assert "error:" in verdicts[f"bad {name}"]
