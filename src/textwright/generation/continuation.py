"""One text being generated: logits go in, tokens and text come out, until it ends.

Where the logits come from doesn't matter: `Stream` reads them from a cursor of its own, the engine
from a batch, and a runtime that draws by itself has drawn already. Sampling, stop strings, limits,
detokenization and log probabilities are here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Set

import numpy as np

from textwright.arrays import Floats
from textwright.errors import RequestError
from textwright.generation.copying import CopyGuard
from textwright.generation.cursor import Cursor, Draft, write_ahead
from textwright.generation.options import Prompt, Request
from textwright.generation.results import FinishReason, Generation, Step, TokenLogprob
from textwright.generation.sampling import logits_error, new_sampler
from textwright.tokenizers import Tokenizer

BEFORE_STOP = 4
"""Tokens drawn at once where a stop string may make them useless."""


class StopFilter:
    """Passes text on up to the first stop string.

    The end of the text that may be the start of a stop string is buffered. The stop string that is
    complete first counts, of several at once the longest; so how the text is cut into pieces makes
    no difference.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        """
        Raises:
            RequestError: a stop string is empty.
        """
        if not all(stops):
            raise RequestError("a stop string must not be empty; leave it out")
        self._stops = stops
        self._buffer = ""
        self.stopped = False

    @property
    def stops_nowhere(self) -> bool:
        """Whether there are no stop strings."""
        return not self._stops

    def push(self, piece: str) -> str:
        """The text that can be passed on after one more `piece`."""
        if not self._stops:
            return piece
        text = self._buffer + piece
        found = [(start + len(stop), start) for stop in self._stops
                 if (start := text.find(stop)) >= 0]  # fmt: skip
        self.stopped = bool(found)
        cut = min(found)[1] if found else self._possible_start(text)
        self._buffer = text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """At the end of the text: the rest of it, which is no stop string."""
        text, self._buffer = self._buffer, ""
        return text

    def _possible_start(self, text: str) -> int:
        """The index where an incomplete stop string may begin, or the length of `text`."""
        longest = max(map(len, self._stops)) - 1
        for start in range(max(0, len(text) - longest), len(text)):
            suffix = text[start:]
            if any(stop.startswith(suffix) for stop in self._stops):
                return start
        return len(text)


class Continuation:
    """The continuation of one prompt.

    Attributes:
        tokens: ids drawn so far, those of a stop string included, an end of text not.
        logprobs: one a token, where requested.
        finish_reason: why the text ended; None before it did.
    """

    def __init__(
        self,
        prompt: Prompt,
        request: Request,
        seed: int,
        tokenizer: Tokenizer,
        *,
        eos_ids: Set[int],
        suppress_tokens: list[int],
        guard: CopyGuard | None = None,
    ) -> None:
        """
        Args:
            prompt: the whole of it.
            request: settings; `seed` takes the place of its own.
            seed: of the random numbers.
            tokenizer: of the model.
            eos_ids: ids that end the text, unless `request.ignore_eos`.
            suppress_tokens: ids that are never drawn.
            guard: what keeps it from copying.
        """
        self.prompt, self.request, self.seed = prompt, request, seed
        self.tokens: list[int] = []
        self.logprobs: list[TokenLogprob] = []
        self.finish_reason: FinishReason | None = None
        own_eos = frozenset() if request.ignore_eos else eos_ids
        self._eos_ids = own_eos | request.stop_tokens
        self._sampler = new_sampler(
            tokenizer.vocab_size,
            request.sampling,
            seed,
            suppress_tokens=suppress_tokens,
            prompt_tokens=prompt.tokens,
            processor=request.logits_processor,
            end_tokens=[token for token in self._eos_ids if 0 <= token < tokenizer.vocab_size],
        )
        self._guarded = guard.new_text() if guard is not None else None
        self._suppressed = suppress_tokens
        self._tokenizer = tokenizer
        self._detokenizer = tokenizer.stream()
        self._filter = StopFilter([*request.sampling.stop, *prompt.stop])
        self._banned_first = sorted(own_eos) if prompt.is_chat else []
        self._max_tokens = request.max_tokens
        self._alternatives = request.logprobs
        self._pieces: list[str] = []
        self._taken = 0  # of `_pieces`, by `take`

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

    def draft(self, cursor: Cursor, *, keep_logits: bool = False) -> Draft | None:
        """What `write_ahead` needs to know; `accept` takes the tokens that come of it.

        None where tokens have to go through `push`: the first, and all without a sampler in C or
        with a guard, which looks at the logits of each.

        Args:
            cursor: has read all but the last token, which is pending.
            keep_logits: whether they are wanted for more than what `accept` needs.
        """
        if self._sampler.address is None or not self.tokens or self._guarded is not None:
            return None
        left = self._max_tokens - len(self.tokens)
        most = left if self._filter.stops_nowhere else min(left, BEFORE_STOP)
        return Draft(
            cursor, self._sampler.address, most, keep_logits or self._alternatives is not None
        )

    def push(self, logits: Floats) -> tuple[int, str] | None:
        """Draw the next token from its logits, (V,).

        Returns:
            The token and the characters that it completed, also where a stop string may yet take
            them away; None where the model ended the text instead.
        """
        if self._banned_first and not self.tokens:
            logits = logits.copy()
            logits[self._banned_first] = -np.inf
        if self._guarded is None:
            return self.accept(self._sampler.draw(logits), logits)
        allowed = self._guarded.masked(logits, self._suppressed)
        if allowed is None:  # whatever came would be copied
            self.end("stop")
            return None
        token = self._sampler.draw(allowed)
        self._guarded.wrote(token)
        return self.accept(token, logits)

    def accept(self, token: int, logits: Floats | None) -> tuple[int, str] | None:
        """Take a token that was drawn for a `draft`; returns as `push`.

        Args:
            token: its id, or −1 where there was nothing to draw from.
            logits: those that it was drawn from, (V,), which log probabilities need.

        Raises:
            TextwrightError: the token is −1.
        """
        if token < 0:
            raise logits_error()
        if token in self._eos_ids:
            self.end("stop")
            return None
        self.tokens.append(token)
        text = self._detokenizer.push(token)
        if self._alternatives is not None:
            assert logits is not None
            self.logprobs.append(self._logprob(token, logits, self._alternatives))
        self._emit(text)
        if self._filter.stopped:
            self.finish_reason = "stop"
        elif len(self.tokens) >= self._max_tokens:
            self.end("length")
        return token, text

    def accept_all(self, drawn: Iterable[tuple[int, Floats | None]]) -> int:
        """`accept` tokens up to the end of the text; how many it got."""
        before, tokens = len(self.tokens), self.tokens
        if self._alternatives is None and self._filter.stops_nowhere:  # nearly always
            ends, most, spell = self._eos_ids, self._max_tokens, self._detokenizer.push
            for token, _ in drawn:
                if token < 0 or token in ends or len(tokens) + 1 >= most:
                    self.accept(token, None)
                    break
                tokens.append(token)
                if text := spell(token):
                    self._pieces.append(text)
        else:
            for token, logits in drawn:
                self.accept(token, logits)
                if self.finish_reason is not None:
                    break
        return len(tokens) - before

    def take(self) -> str:
        """The text that came since the last call; what may become a stop string comes later."""
        new = self._pieces[self._taken :]
        self._taken = len(self._pieces)
        return "".join(new)

    def end(self, reason: FinishReason) -> None:
        """End the text, which gets what was buffered as a possible stop string."""
        self._emit(self._detokenizer.flush())
        if self._filter.stopped:
            reason = "stop"
        elif rest := self._filter.flush():
            self._pieces.append(rest)
        self.finish_reason = reason

    def _emit(self, text: str) -> None:
        if passed := self._filter.push(text):
            self._pieces.append(passed)

    def _logprob(self, token: int, logits: Floats, alternatives: int) -> TokenLogprob:
        logs, ids = self._sampler.log_probabilities(logits, alternatives)
        name = self._tokenizer.token_text
        top_ids = ids.tolist()
        top = [(name(other), float(logs[other])) for other in top_ids]
        return TokenLogprob(name(token), token, float(logs[token]), top, top_ids)


class Stream(Iterator[str]):
    """Iterates over the continuation in pieces of whole characters, as they come.

    `steps` iterates over its tokens instead. `generation` is the result, also after a loop that was
    left before the end.
    """

    def __init__(self, cursor: Cursor, continuation: Continuation, *, ahead: bool = True) -> None:
        """
        Args:
            cursor: has read the prompt; it is used, not copied.
            continuation: of that prompt, without a token yet.
            ahead: whether the cursor may have read on where the text ends, so that nothing can
                continue from it.
        """
        self._cursor = cursor
        self._continuation = continuation
        self._may_go_ahead = ahead
        self._ahead: deque[tuple[int, Floats | None]] = deque()
        """Tokens that were drawn and not accepted yet, with their logits."""

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the text ended; None before it did."""
        return self._continuation.finish_reason

    @property
    def generation(self) -> Generation:
        """The text so far and how it ended; `length` where it was left before its end."""
        return self._continuation.generation

    def __next__(self) -> str:
        while not (piece := self._continuation.take()):
            if self.finish_reason is not None:
                raise StopIteration
            self._advance()
        return piece

    def steps(self) -> Iterator[Step]:
        """The tokens one by one, to the end of the text."""
        while (step := self.step()) is not None:
            yield step

    def step(self) -> Step | None:
        """Draw one token; None where the text has ended."""
        if self._continuation.finish_reason is not None:
            return None
        drawn, logits = self._advance()
        return None if drawn is None else Step(*drawn, logits)

    def run(self) -> Generation:
        """Draw all tokens that are left; the whole text."""
        text = self._continuation
        while text.finish_reason is None:
            if not self._ahead and self._may_go_ahead:
                drawn = write_ahead([text.draft(self._cursor)])
                if drawn:
                    text.accept_all(drawn[0])
                    continue
            self._advance()
        return self.generation

    def _advance(self) -> tuple[tuple[int, str] | None, Floats]:
        """Draw a token, of a text that hasn't ended; what `push` returns, and its logits."""
        if not self._ahead and self._may_go_ahead:
            drawn_ahead = write_ahead([self._continuation.draft(self._cursor, keep_logits=True)])
            if drawn_ahead:
                self._ahead.extend(drawn_ahead[0])
        if self._ahead:
            token, logits = self._ahead[0]
            drawn = self._continuation.accept(token, logits)
            self._ahead.popleft()
        else:
            logits = self._cursor.logits
            drawn = self._continuation.push(logits)
            if drawn is not None:
                self._cursor.read((drawn[0],))
        assert logits is not None
        return drawn, logits
