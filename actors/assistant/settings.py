"""How the assistant answers: its models and what they cost, its patience, its limits."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

ModelPrice = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:/-]+=\d+(\.\d+)?/\d+(\.\d+)?$")]


class AssistantSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The assistant's models, timers and limits.

    Attributes:
      fast_model: decides, answers directly, asks back and calls tools. The seed's is
        claude-haiku-4-5-20251001.
      smart_model: formulates goals and puts results into words. The seed's is claude-sonnet-4-5-20250929,
        which retires on 30 November 2026.
      prices: what models cost, as NAME=INPUT/OUTPUT in US dollars for a million tokens. A name stands for
        every model that begins with it, and the longest counts; a model without one is shown as free.
      decide_s: an answer of the fast model that takes longer has failed.
      think_s: the same of the smart model.
      attempts: so often a model is asked where it is overloaded, out of order or not reached.
      retry_s: the wait before the second time, doubled each time, where the provider asks for no other.
      retry_most_s: the longest of them; a provider that asks for more has failed.
      answer_tokens: the longest answer of a model.
      rounds: questions to the fast model until it has decided; in the last it may do nothing else.
      spawn_s: an agent that the desktop has neither started nor refused by then has failed.
      agent_s: an agent that has not ended by then is killed.
      result_characters: of an agent's result the models see so many, its head and its tail.
      conversation_turns: messages of a conversation that are remembered, questions and answers.
      conversation_s: after so long without a word a new conversation begins.
      history_characters: of each of them the models see so many.
      tasks_at_once: of one user; one more is refused.
      queries: a minute and user; what comes above is refused.
      tasks_kept: finished tasks of a user; older ones are removed.
    """

    fast_model: Annotated[str, Meta(min_length=1)] = "claude-haiku-4-5"
    smart_model: Annotated[str, Meta(min_length=1)] = "claude-sonnet-4-6"
    prices: tuple[ModelPrice, ...] = (
        "claude-haiku-4-5=1/5",
        "claude-sonnet-4-5=3/15",
        "claude-sonnet-4-6=3/15",
    )
    decide_s: Annotated[float, Meta(gt=0)] = 30.0
    think_s: Annotated[float, Meta(gt=0)] = 60.0
    attempts: Annotated[int, Meta(ge=1, le=10)] = 3
    retry_s: Annotated[float, Meta(gt=0)] = 0.5
    retry_most_s: Annotated[float, Meta(gt=0)] = 30.0
    answer_tokens: Annotated[int, Meta(ge=256)] = 4096
    rounds: Annotated[int, Meta(ge=1, le=20)] = 5
    spawn_s: Annotated[float, Meta(gt=0)] = 30.0
    agent_s: Annotated[float, Meta(gt=0)] = 1800.0
    result_characters: Annotated[int, Meta(ge=200)] = 20_000
    conversation_turns: Annotated[int, Meta(ge=2)] = 20
    conversation_s: Annotated[float, Meta(gt=0)] = 14_400.0
    history_characters: Annotated[int, Meta(ge=100)] = 2_000
    tasks_at_once: Annotated[int, Meta(ge=1)] = 50
    queries: Annotated[int, Meta(ge=1)] = 120
    tasks_kept: Annotated[int, Meta(ge=1)] = 1_000
