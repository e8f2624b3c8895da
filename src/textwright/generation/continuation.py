"""One text being written: logits go in, tokens and certain text come out, until it ends.

It never asks where logits come from. `Stream` pulls them from a cursor of its own, the engine
pushes those of a whole batch; stop strings, limits, spelling and probabilities are here, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set

import numpy as np

from textwright.arrays import Floats
from textwright.generation.options import Prompt, Request
from textwright.generation.results import FinishReason, Generation, TokenLogprob
from textwright.generation.sampling import Sampler, log_probabilities, ranked
from textwright.generation.stopping import StopFilter
from textwright.tokenizers import Tokenizer


class Continuation:
    """Writes the continuation of one prompt.

    Attributes:
        tokens: ids drawn so far; what a stop string is made of among them, an end of text not.
        logprobs: one a token, where they were asked for.
        finish_reason: why the text ended; None before it did.
    """

    def __init__(
        self,
        prompt: Prompt,
        request: Request,
        seed: int,
        tokenizer: Tokenizer,
        *,
        ends: Set[int],
        suppressed: list[int],
    ) -> None:
        """
        Args:
            prompt: what is continued, all of it.
            request: settings; its own seed isn't looked at.
            seed: of the draws.
            tokenizer: spells the tokens.
            ends: ids that end the text.
            suppressed: ids that are never drawn.
        """
        self.prompt, self.request, self.seed = prompt, request, seed
        self.tokens: list[int] = []
        self.logprobs: list[TokenLogprob] = []
        self.finish_reason: FinishReason | None = None
        self._sampler = Sampler(request.sampling, seed, suppressed=suppressed, read=prompt.tokens)
        self._tokenizer = tokenizer
        self._spelling = tokenizer.stream()
        self._filter = StopFilter([*request.sampling.stop, *prompt.stop])
        self._processor = request.logits_processor
        own_ends = frozenset() if request.ignore_eos else ends
        self._never_first = sorted(own_ends) if prompt.speaks else []
        self._ends = own_ends | request.stop_tokens
        self._drawn: Counter[int] | None = Counter() if self._processor.is_active else None
        self._max_tokens = request.max_tokens
        self._alternatives = request.logprobs
        self._pieces: list[str] = []
        self._taken = 0
        """How many of them `take` has given."""

    @property
    def generation(self) -> Generation:
        """The text so far and how it ended; `length` where it was left before its end."""
        return Generation(
            prompt=self.prompt.text,
            text="".join(self._pieces),
            tokens=list(self.tokens),
            finish_reason=self.finish_reason or "length",
            seed=self.seed,
            warnings=list(self.prompt.warnings),
            logprobs=list(self.logprobs) if self._alternatives is not None else None,
        )

    @property
    def rest(self) -> str:
        """What was drawn but is not part of the text: a stop string and what came with it."""
        return self._filter.rest

    def push(self, logits: Floats) -> tuple[int, str] | None:
        """Draw the next token from its logits, (V,).

        Returns:
            The token and the characters that it completed, whether or not they are certain to be
            part of the text; None where the model ended the text instead.
        """
        if self._never_first and not self.tokens:
            logits = logits.copy()
            logits[self._never_first] = -np.inf
        if self._drawn is None:
            token = self._sampler.draw(logits)
        else:
            token = self._sampler.draw(self._processor.apply(logits, self._drawn))
            self._drawn[token] += 1
        if token in self._ends:
            self.end("stop")
            return None
        self.tokens.append(token)
        text = self._spelling.push(token)
        if self._alternatives is not None:
            self.logprobs.append(self._logprob(token, logits, self._alternatives))
        self._let_through(text)
        if self._filter.stopped:
            self.finish_reason = "stop"
        elif len(self.tokens) >= self._max_tokens:
            self.end("length")
        return token, text

    def take(self) -> str:
        """The text that has become certain since this was last called."""
        new = self._pieces[self._taken :]
        self._taken = len(self._pieces)
        return "".join(new)

    def end(self, reason: FinishReason) -> None:
        """End a text that no stop string ended: nothing needs to be held back any more."""
        self._let_through(self._spelling.flush())
        if self._filter.stopped:
            reason = "stop"
        elif held := self._filter.flush():
            self._pieces.append(held)
        self.finish_reason = reason

    def _let_through(self, text: str) -> None:
        if certain := self._filter.push(text):
            self._pieces.append(certain)

    def _logprob(self, token: int, logits: Floats, alternatives: int) -> TokenLogprob:
        logs = log_probabilities(logits)
        spell = self._tokenizer.token_text
        top = [(spell(int(other)), float(logs[other])) for other in ranked(logs, alternatives)]
        return TokenLogprob(spell(token), token, float(logs[token]), top)
