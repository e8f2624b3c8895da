"""How likely each token of a text is, as work of the engine: `echo` with `logprobs`."""

from __future__ import annotations

from collections.abc import Sequence

from textwright.engine.job import Work
from textwright.generation.cursor import CHUNK
from textwright.generation.generator import Generator
from textwright.generation.results import FinishReason, Scores


class Scoring(Work):
    """`Generator.score`, a piece a step, so that those who write meanwhile get their tokens.

    Attributes:
        tokens: ids of the text.
        scores: so far; of all tokens once it is done without an error.
    """

    def __init__(
        self,
        generator: Generator,
        tokens: Sequence[int],
        *,
        top: int,
        seconds: float | None = None,
    ) -> None:
        """
        Args:
            generator: the model.
            tokens: ids, one at least.
            top: alternatives for each.
            seconds: so many after its submission it fails.
        """
        super().__init__(generator, seconds)
        self.tokens = tokens
        self.scores: list[Scores] = []
        self._pieces = generator.score(tokens, top=top)
        self._left = len(tokens)

    pending = CHUNK
    """It never decodes, and has a turn of its own."""

    @property
    def finish_reason(self) -> FinishReason | None:
        return None if self._left else "length"

    def step(self) -> int:
        """For the engine: score the next piece; how many tokens it had."""
        piece = next(self._pieces)
        self.scores.append(piece)
        self._left -= len(piece.tokens)
        return len(piece.tokens)
