"""An agent: what is said after the word "agent" becomes a call of a tool, shown on the lens with its answer.

The tools are this app's own and declared in `tools.toml`. A call goes out to the cloud and comes back from it
at `on_tool_call`: the way on which any other assistant of the wearer calls the same tools.

`decide` is a few rules, so that the example needs no key. A language model would stand in its place and get
the same question: which tool, with which parameters?
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import msgspec
import trio

from clients.app_sdk import AppServer, AppSession, CloudError
from protocols.transcription import TranscriptionData
from protocols.webhooks import ToolCall

PACKAGE = "org.example.agent"
PORT = 7014
NAME = "agent"  # the word that a request begins with
KEY = "kept"

Decision = tuple[str, Mapping[str, str]]
"""A tool and its parameters."""


def decide(request: str) -> Decision | None:
    """The tool for a request, which is in small letters; None where none fits."""
    verb, _, rest = request.partition(" ")
    if verb == "remember" and rest:
        return "remember", {"text": rest}
    if verb in ("recall", "what"):
        return "recall", {}
    if verb == "forget":
        return "forget", {}
    return None


class AgentApp(AppServer):
    """Needs the permission MICROPHONE, and the tools of `tools.toml`."""

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        async def listen(said: TranscriptionData) -> None:
            name, _, request = " ".join(re.findall(r"[\w']+", said.text.lower())).partition(" ")
            if said.is_final and name == NAME:
                await answer(request)

        async def answer(request: str) -> None:
            decision = decide(request)
            if decision is None:
                session.layouts.show_text_wall("I can remember, recall and forget")
                return
            tool, parameters = decision
            call = {"toolId": tool, "toolParameters": parameters, "userId": user_id}
            try:
                await session.rest.call("POST", f"/api/tools/apps/{self.package_name}/tool", call)
            except (CloudError, OSError) as error:
                session.layouts.show_reference_card(f"{tool} failed", str(error))

        session.events.on_transcription(listen)
        session.layouts.show_text_wall("Say: agent remember ...")

    async def on_tool_call(self, call: ToolCall) -> str | None:
        """Whoever called, the wearer sees it."""
        session = next((one for one in self.sessions.values() if one.user_id == call.user_id), None)
        if session is None:
            return "the wearer has not started the agent"
        parameters = msgspec.json.decode(call.tool_parameters, type=dict[str, str])
        reply = await self._use(session, call.tool_id, parameters)
        shown = ", ".join(f"{name}={value}" for name, value in parameters.items())
        session.layouts.show_reference_card(f"{call.tool_id}({shown})", reply)
        return reply

    async def _use(self, session: AppSession, tool: str, parameters: Mapping[str, str]) -> str:
        if tool == "remember":
            await session.storage.set(KEY, parameters["text"])
            return "kept"
        if tool == "recall":
            return await session.storage.get(KEY) or "nothing is kept"
        if tool == "forget":
            await session.storage.delete(KEY)
            return "forgotten"
        raise ValueError(f"no tool {tool}")


if __name__ == "__main__":
    trio.run(AgentApp(PACKAGE, os.environ["API_KEY"], port=int(os.environ.get("PORT", PORT))).run)
