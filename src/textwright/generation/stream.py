"""One text as it is generated, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from textwright.generation.cursor import Cursor
from textwright.generation.results import FinishReason, Generation, Step, TokenLogprob
from textwright.generation.sampling import Sampler, log_probabilities, ranked
from textwright.generation.stopping import StopFilter
from textwright.tokenizers import Tokenizer


class Stream(Iterator[str]):
    """Iterates over the continuation in pieces, whole characters only.

    `steps` iterates over its tokens instead; either way `generation` tells the outcome, also of
    a text that was left before its end.
    """

    def __init__(
        self,
        cursor: Cursor,
        sampler: Sampler,
        tokenizer: Tokenizer,
        *,
        prompt: str,
        max_tokens: int,
        ends: Set[int],
        stop: Sequence[str],
        seed: int,
        warnings: Sequence[str],
        logprobs: int | None,
    ) -> None:
        """
        Args:
            cursor: has read the prompt; it goes on from there and is not copied.
            ends: ids that end the text.
            logprobs: how many alternatives to note beside each token; None notes nothing.
        """
        self.cursor = cursor
        self._sampler = sampler
        self._tokenizer = tokenizer
        self._spelling = tokenizer.stream()
        self._filter = StopFilter(stop)
        self._max_tokens = max_tokens
        self._ends = ends
        self._prompt, self._seed, self._warnings = prompt, seed, list(warnings)
        self._tokens: list[int] = []
        self._pieces: list[str] = []
        self._ready = ""
        self._alternatives = logprobs
        self._logprobs: list[TokenLogprob] = []
        self.finish_reason: FinishReason | None = None
        """Why the text ended; None before it did."""

    @property
    def generation(self) -> Generation:
        """The text so far and how it ended; `length` where it was left before its end."""
        return Generation(
            prompt=self._prompt,
            text="".join(self._pieces),
            tokens=list(self._tokens),
            finish_reason=self.finish_reason or "length",
            seed=self._seed,
            warnings=self._warnings,
            logprobs=list(self._logprobs) if self._alternatives is not None else None,
        )

    @property
    def rest(self) -> str:
        """What was drawn but is not part of the text: a stop string and what came with it."""
        return self._filter.rest

    def __next__(self) -> str:
        while not self._ready:
            if self.step() is None and not self._ready:
                raise StopIteration
        piece, self._ready = self._ready, ""
        return piece

    def steps(self) -> Iterator[Step]:
        """The tokens one by one, to the end of the text."""
        while (step := self.step()) is not None:
            yield step

    def step(self) -> Step | None:
        """Draw one token; None where the text has ended."""
        if self.finish_reason is not None:
            return None
        logits = self.cursor.logits
        token = self._sampler.draw(logits)
        if token in self._ends:
            self._finish("stop")
            return None
        self.cursor.read((token,))
        self._tokens.append(token)
        text = self._spelling.push(token)
        step = Step(token, text, logits)
        if self._alternatives is not None:
            self._logprobs.append(self._logprob(step, self._alternatives))
        self._let_through(text)
        if self._filter.stopped:
            self.finish_reason = "stop"
        elif len(self._tokens) >= self._max_tokens:
            self._finish("length")
        return step

    def _let_through(self, text: str) -> None:
        if certain := self._filter.push(text):
            self._pieces.append(certain)
            self._ready += certain

    def _finish(self, reason: FinishReason) -> None:
        """End a text that no stop string ended: nothing needs to be held back any more."""
        self._let_through(self._spelling.flush())
        if self._filter.stopped:
            reason = "stop"
        elif held := self._filter.flush():
            self._pieces.append(held)
            self._ready += held
        self.finish_reason = reason

    def _logprob(self, step: Step, alternatives: int) -> TokenLogprob:
        logs = log_probabilities(step.logits)
        spell = self._tokenizer.token_text
        top = [(spell(int(other)), float(logs[other])) for other in ranked(logs, alternatives)]
        return TokenLogprob(spell(step.token), step.token, float(logs[step.token]), top)
