"""What the OpenAI API lets a request say about single tokens, beyond how all are sampled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from textwright.generation.runtime import Floats


@dataclass(frozen=True)
class Steering:
    """Logits moved by token, and tokens that end the text."""

    bias: Mapping[int, float] = field(default_factory=dict)
    """What is added to the logit of a token id, before anything else; −100 bans it in effect."""
    presence_penalty: float = 0.0
    """What the logit of a token that was drawn already loses."""
    frequency_penalty: float = 0.0
    """What it loses for each time that it was drawn."""
    stop_tokens: frozenset[int] = frozenset()
    """Ids that end the text, beside the model's own; they are not part of it."""
    ignore_end: bool = False
    """Let the model's own end of text be a token as any other."""

    @property
    def moves_logits(self) -> bool:
        return bool(self.bias) or self.presence_penalty != 0 or self.frequency_penalty != 0

    def moved(self, logits: Floats, drawn: Counter[int]) -> Floats:
        """Logits, (V,), after bias and penalties for what was `drawn`; those given stay."""
        moved = logits.copy()
        for token, bias in self.bias.items():
            moved[token] += bias
        for token, count in drawn.items():
            moved[token] -= self.presence_penalty + count * self.frequency_penalty
        return moved
