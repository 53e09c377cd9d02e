"""A language model that is none: rules behind the same port, for a server without a key.

It knows what it can tell by the tools and what is plainly a wish for an agent, says so of everything else,
and invents nothing. English only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from protocols.desktop.lens import cut

from ..language_ports import ModelAnswer, ModelMessage, ModelRequest, ToolCall
from .deciding import DECIDE, plain
from .synthesis import fallback_texts, fenced, read_result_request

NAME: Final = "rules"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_POLITE: Final = re.compile(
    r"^((hey|hi|hello|ok|okay|please|now|then|just|can you|could you|would you|will you|i want you to|"
    r"i'd like you to|let's|go and|go ahead and)\b[\s,]*)+",
    re.IGNORECASE,
)
_VERBS: Final = _words(
    """
    add analyse analyze apply benchmark bisect build bump change check clean clone commit compile
    configure convert copy count create debug delete deploy diff document download edit execute extract
    find fix format generate git grep implement improve inspect install investigate launch lint list
    make merge migrate modify move open optimise optimize patch print profile pull push read rebase
    refactor remove rename replace reproduce restart revert review rewrite run search set start stop
    summarise summarize test translate try uninstall update upgrade use verify write
    """
)
_VAGUE: Final = _words(
    """
    a an the this that it these those them my our your bug bugs issue issues problem problems error
    errors thing things something stuff code one again
    """
)
_ASKING: Final = _words(
    """
    what what's which how how's is are was were do does did who when where any has have
    """
)
_LISTING: Final = _words(
    """
    show list tell give check status summarise summarize
    """
)
_TO_AN_ADAPTER: Final = re.compile(r"(bash|claude|command|python): +\S")
_COMMAND: Final = re.compile(
    r"(?:run|execute)\s+(?!(?:a|all|an|every|it|my|our|some|that|the|these|this|those|your)\b)(?=\S)",
    re.IGNORECASE,
)
"""What stands before a command that is named: no shell knows it, and an agent does not need it."""
_AGENT_ID: Final = re.compile(r"\bagent_\w+")

_ABOUT: Final[Sequence[tuple[str, re.Pattern[str]]]] = (
    (
        "get_daemon_status",
        re.compile(r"\b(computers?|daemons?|desktops?|laptops?|machines?|online|connected)\b", re.IGNORECASE),
    ),
    (
        "get_running_agents",
        re.compile(r"\b(agents?|running|progress|status|busy|working on|doing)\b", re.IGNORECASE),
    ),
    (
        "get_conversation_summary",
        re.compile(r"\b(conversation|we (talk|said|discuss)\w*|did (i|we) say)\b", re.IGNORECASE),
    ),
    (
        "get_recent_tasks",
        re.compile(r"\b(tasks?|recent|recently|history|last time|did (i|you)|results?)\b", re.IGNORECASE),
    ),
)
_ABILITIES: Final = re.compile(r"\b(help|what can you do|who are you)\b", re.IGNORECASE)
_GREETING: Final = re.compile(
    r"^\W*(hi|hello|hey|good (morning|evening|day)|thanks?|thank you)\b", re.IGNORECASE
)

_CAN: Final = (
    "- run something on your computer: *run pytest -q*, *bash: ls -la*, and with Claude Code there "
    "*fix the failing test in parser.py*\n"
    "- say what your agents are doing, and how one of them stands\n"
    "- say which of your computers are online\n"
    "- say what you asked lately, and what came of it"
)
_CANNOT_GLASSES: Final = "I can't answer that without a language model. I can run things on your computer."
_CANNOT_PAGE: Final = (
    "I cannot answer that: this server has no key for a language model (`ANTHROPIC_API_KEY`), so I go by "
    f"rules. What I can do:\n\n{_CAN}"
)


class RulesModel:
    """`LanguageModel` by rules. The same question has the same answer, it costs nothing and never fails."""

    name = NAME

    async def prepare(self) -> None:
        """There is nothing to prepare."""

    async def answer(self, request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
        """Decide, formulate the goal or put the result into words, as the request's shape says."""
        return self._of(request)

    def _of(self, request: ModelRequest) -> ModelAnswer:
        last = request.messages[-1]
        if any(tool.name == DECIDE for tool in request.tools):
            call = _decide(request.messages, last)
            return _said("", (call,))
        if request.output is not None:
            return _said(_result_in_words(last.text))
        return _said(_draft_of(last.text))

    async def aclose(self) -> None:
        """It holds nothing."""


def _said(text: str, calls: tuple[ToolCall, ...] = ()) -> ModelAnswer:
    return ModelAnswer(text=text, is_complete=True, input_tokens=0, output_tokens=0, model=NAME, calls=calls)


def _decide(messages: tuple[ModelMessage, ...], last: ModelMessage) -> ToolCall:
    if last.results:
        called = messages[-2].calls[0].name
        return _decided("direct_response", *_told(called, last.results[0].content))
    query = last.text.strip()
    wish = _POLITE.sub("", query).strip()
    words = re.findall(r"[\w'./-]+", wish.lower())
    agent = _AGENT_ID.search(query)
    if agent is not None:
        return ToolCall("rules", "get_agent_status", {"agentId": agent.group()})
    if _TO_AN_ADAPTER.match(wish):
        return _decided("spawn_agent", "", "", goal=wish)
    is_question = query.endswith("?") or (words[:1] and words[0] in _ASKING)
    if words and words[0] in _VERBS and not (words[0] in _LISTING and _about(wish)):
        if set(words[1:]) <= _VAGUE:
            what = f"{words[0].capitalize()} what, and where?"
            return _decided(
                "clarifying_question", what, f"{what} Please say it in one sentence, with names of files."
            )
        return _decided("spawn_agent", "", "", goal=_COMMAND.sub("", wish, count=1) if words[1:] else wish)
    tool = _about(query)
    if tool is not None and (is_question or (words[:1] and words[0] in _LISTING)):
        return ToolCall("rules", tool, {})
    if _ABILITIES.search(query):
        return _decided(
            "direct_response", "I run things on your computer and say how they go.", f"I can:\n\n{_CAN}"
        )
    if _GREETING.search(query) and len(words) < 4:
        return _decided("direct_response", "Hello. What shall I do?", f"Hello. I can:\n\n{_CAN}")
    return _decided("direct_response", _CANNOT_GLASSES, _CANNOT_PAGE)


def _about(query: str) -> str | None:
    return next((name for name, words in _ABOUT if words.search(query)), None)


def _decided(decision: str, glasses: str, page: str, *, goal: str = "") -> ToolCall:
    arguments = {
        "decision": decision,
        "glasses_display": glasses,
        "webview_content": page,
        "goal": goal,
        "working_directory": "",
        "reasoning": "by rules",
    }
    return ToolCall("rules", DECIDE, arguments)


def _draft_of(message: str) -> str:
    """The goal as it was decided: nobody here can write a better one."""
    draft, _, _ = message.removeprefix("<draft>\n").partition("\n</draft>")
    return draft


def _result_in_words(message: str) -> str:
    ended = read_result_request(message)
    if ended is None:
        return ""
    lines = [line.strip() for line in ended.text.splitlines() if line.strip()]
    if ended.status == "completed" and lines:
        glasses, page = cut(plain(lines[0])), fenced(ended.text)
    else:
        texts = fallback_texts(ended.status, ended.text)
        glasses, page = cut(texts.glasses_display), texts.webview_content
    return msgspec.json.encode({"glasses_display": glasses, "webview_content": page}).decode()


# ---------------------------------------------------------------------------------------------------------
# What the tools say, in words


def _told(tool: str, content: str) -> tuple[str, str]:
    try:
        said = msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.MsgspecError:
        said = {"error": "the tool said nothing that can be read"}
    if "error" in said and said.get("agentId") is None:
        return f"I can't tell: {said['error']}", f"I cannot tell: {said['error']}"
    return _TELLERS[tool](said) if tool in _TELLERS else ("Done.", content)


def _tell_agents(said: Mapping[str, Any]) -> tuple[str, str]:
    agents = said["agents"]
    if not agents:
        return "No agent is running.", "No agent is running."
    first = agents[0]
    glasses = f"{_number(len(agents), 'agent')} running: {first['goal']}"
    lines = [
        f"- `{agent['agentId']}` ({_plainly(agent['status'])}): {agent['goal']}"
        + (f" ({agent['currentStep']})" if agent["currentStep"] else "")
        for agent in agents
    ]
    return glasses, f"{_number(len(agents), 'agent')} running:\n\n" + "\n".join(lines)


def _tell_agent(said: Mapping[str, Any]) -> tuple[str, str]:
    status = _plainly(said["status"])
    step = said["currentStep"] or said["error"] or said["goal"]
    page = f"Agent `{said['agentId']}` is {status}.\n\n**Goal:** {said['goal']}"
    page += "".join(f"\n- {note}" for note in said["notes"])
    outcome = said["result"] or said["error"]
    return f"The agent is {status}: {step}", page + (f"\n\n{fenced(outcome)}" if outcome else "")


def _tell_daemons(said: Mapping[str, Any]) -> tuple[str, str]:
    daemons = said["daemons"]
    if not said["online"]:
        return said["message"], f"{said['message']} {said['hint']}"
    online = [daemon for daemon in daemons if daemon["online"]]
    names = ", ".join(daemon["name"] for daemon in online)
    lines = [
        f"- {daemon['name']}: "
        + (f"online, {_number(daemon['activeAgents'], 'agent')}" if daemon["online"] else "offline")
        for daemon in daemons
    ]
    return f"Online: {names}.", "\n".join(lines)


def _tell_tasks(said: Mapping[str, Any]) -> tuple[str, str]:
    tasks = said["tasks"]
    if not tasks:
        return "You have not asked anything yet.", "You have not asked anything yet."
    first = tasks[0]
    lines = [
        f"- {task['query']}: {_plainly(task['status'])}"
        + (f": {' '.join(plain(task['resultPreview']).split())}" if task["resultPreview"] else "")
        for task in tasks
    ]
    return f"Last: {first['query']} ({_plainly(first['status'])}).", "\n".join(lines)


def _tell_conversation(said: Mapping[str, Any]) -> tuple[str, str]:
    turns = said["turns"]
    if not turns:
        return "We have not talked yet.", "We have not talked yet."
    lines = [f"- {'You' if turn['role'] == 'user' else 'I'}: {plain(turn['content'])}" for turn in turns]
    return f"You last said: {_last_of_user(turns)}", "\n".join(lines)


def _last_of_user(turns: Sequence[Mapping[str, Any]]) -> str:
    return next((turn["content"] for turn in reversed(turns) if turn["role"] == "user"), "nothing")


_TELLERS: Final = {
    "get_running_agents": _tell_agents,
    "get_agent_status": _tell_agent,
    "get_daemon_status": _tell_daemons,
    "get_recent_tasks": _tell_tasks,
    "get_conversation_summary": _tell_conversation,
}


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _plainly(status: str) -> str:
    return status.replace("_", " ")
