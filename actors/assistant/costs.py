"""What models cost a task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from protocols.desktop.documents import ModelUse

from ..language_ports import ModelAnswer

_A_MILLION = 1_000_000


def cost_usd(model: str, input_tokens: int, output_tokens: int, prices: Iterable[str]) -> float:
    """What so many tokens cost by `prices` (see AssistantSettings); 0 for a model that has none."""
    best, price = "", (0.0, 0.0)
    for entry in prices:
        name, _, numbers = entry.rpartition("=")
        if model.startswith(name) and len(name) > len(best):
            of_input, _, of_output = numbers.partition("/")
            best, price = name, (float(of_input), float(of_output))
    return (input_tokens * price[0] + output_tokens * price[1]) / _A_MILLION


def with_answer(
    usage: Sequence[ModelUse], answer: ModelAnswer, prices: Iterable[str]
) -> tuple[ModelUse, ...]:
    """`usage` with one more answer, models in the order of their first."""
    cost = cost_usd(answer.model, answer.input_tokens, answer.output_tokens, prices)
    uses = {use.model: use for use in usage}
    before = uses.get(
        answer.model, ModelUse(model=answer.model, calls=0, input_tokens=0, output_tokens=0, cost_usd=0.0)
    )
    uses[answer.model] = ModelUse(
        model=answer.model,
        calls=before.calls + 1,
        input_tokens=before.input_tokens + answer.input_tokens,
        output_tokens=before.output_tokens + answer.output_tokens,
        cost_usd=round(before.cost_usd + cost, 9),
    )
    return tuple(uses.values())
