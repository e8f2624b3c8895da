"""A model with its tokenizer: text in, text out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Unpack

import numpy as np

from textwright.arrays import Floats
from textwright.errors import RequestError, RunError
from textwright.generation.chat import Dialogue
from textwright.generation.chat_template import ChatPrompt, Message, SpeakerNames, encode_messages
from textwright.generation.continuation import Continuation
from textwright.generation.cursor import Cursor
from textwright.generation.generation_config import GenerationConfig, end_token
from textwright.generation.options import Options, Prompt, Request, check
from textwright.generation.results import Explanation, Generation, Step
from textwright.generation.sampling import Doubles, check_seed, log_probabilities, ranked
from textwright.generation.stream import Stream
from textwright.runtimes.base import Runtime
from textwright.tokenizers import Role, Tokenizer, turn_text

PIECE = 256
"""Tokens of a text explained at once; bounds the memory their logits take."""

logger = logging.getLogger("textwright")


class Generator:
    """Generates text; see `Options` for the settings that every method takes.

    It never changes once made, so threads may share it.
    """

    def __init__(
        self,
        runtime: Runtime,
        tokenizer: Tokenizer,
        *,
        name: str = "model",
        defaults: GenerationConfig | None = None,
    ) -> None:
        """
        Args:
            runtime: from `load_runtime`.
            tokenizer: of the same vocabulary.
            name: what the model is called in errors and answers.
            defaults: what holds for settings that a request leaves out.

        Raises:
            RunError: tokenizer and model are not of one vocabulary.
        """
        if tokenizer.vocab_size != runtime.vocab_size:
            raise RunError(
                f"run {name!r}: tokenizer.json has {tokenizer.vocab_size:,} tokens and the model "
                f"{runtime.vocab_size:,}; copy both from one training"
            )
        self.runtime = runtime
        self.tokenizer = tokenizer
        self.name = name
        self.defaults = defaults or GenerationConfig()
        size = runtime.vocab_size
        own_end = end_token(tokenizer)
        self._eos_ids = self.defaults.eos_ids.union(() if own_end is None else (own_end,))
        suppress_tokens = self.defaults.suppress_tokens.union(tokenizer.suppress_tokens)
        self._suppress_tokens = sorted(token for token in suppress_tokens if token < size)
        if len(self._suppress_tokens) == size:
            raise RunError(f"run {name!r} may draw no token at all; train it on more text")

    def generate(self, prompt: str = "", **options: Unpack[Options]) -> Generation:
        """Continue `prompt`; an empty one begins at the start of a line.

        Raises:
            RequestError: a setting is out of range.
            TokenizerError: `strict`, and the prompt has characters that the model never saw.
        """
        return _finish(self.stream(prompt, **options))

    def generate_many(
        self, prompt: str = "", count: int = 1, **options: Unpack[Options]
    ) -> list[Generation]:
        """`count` continuations, with the seeds `seed`, `seed` + 1 …, each as if it were alone."""
        return [_finish(stream) for stream in self.streams(prompt, count, **options)]

    def stream(self, prompt: str = "", **options: Unpack[Options]) -> Stream:
        """The continuation in pieces as it is generated; `.generation` of it is the whole."""
        return next(self.streams(prompt, 1, **options))

    def streams(
        self, prompt: str = "", count: int = 1, **options: Unpack[Options]
    ) -> Iterator[Stream]:
        """As `generate_many`, each as a stream."""
        request = check(options, self.defaults)
        if count < 1:
            raise RequestError(f"count must be at least 1, not {count}")
        encoded = self.encode_prompt(prompt, strict=request.strict)
        first = request.seed
        seeds = range(first, first + count)
        check_seed(seeds[-1])
        cursor = Cursor(self.runtime)
        cursor.read(encoded.tokens)
        if count > 1:
            _ = cursor.logits  # the prompt is read once for all
        return (self.continue_from(cursor.copy(), encoded, request, seed) for seed in seeds)

    def continue_from(self, cursor: Cursor, prompt: Prompt, request: Request, seed: int) -> Stream:
        """A stream that goes on from `cursor`, which is not copied and has read `prompt`."""
        return Stream(cursor, self.begin(prompt, request, seed))

    def begin(self, prompt: Prompt, request: Request, seed: int) -> Continuation:
        """The continuation of `prompt` before its first token, for who brings the logits."""
        suppress_tokens = self._suppress_tokens
        if request.allow_unk:
            suppress_tokens = [token for token in suppress_tokens if token != self.tokenizer.unk_id]
        return Continuation(
            prompt,
            request,
            seed,
            self.tokenizer,
            eos_ids=self._eos_ids,
            suppress_tokens=suppress_tokens,
        )

    def steps(self, prompt: str = "", **options: Unpack[Options]) -> Iterator[Step]:
        """The continuation token by token, with the distribution each was drawn from."""
        return self.stream(prompt, **options).steps()

    def explain(self, text: str, *, top: int = 5, strict: bool = False) -> list[Explanation]:
        """How likely the model finds each token of `text`, and what it would rather have seen.

        Args:
            text: any length.
            top: how many alternatives a token gets.
            strict: make characters that the model never saw an error.
        """
        if top < 0:
            raise RequestError(f"top must be at least 0, not {top}")
        tokens, warnings = self.tokenizer.encode_prompt(text, strict=strict)
        for warning in warnings:
            logger.warning(warning)
        return self.explain_tokens(tokens, top=top)

    def explain_tokens(self, tokens: Sequence[int], *, top: int = 5) -> list[Explanation]:
        """As `explain`, of a text that is token ids already, each below the vocabulary's size."""
        explanations: list[Explanation] = []
        if not tokens:
            return explanations
        # Nothing stands before the first token but what an empty prompt begins with.
        state = self.runtime.initial_state()
        logits, _ = self.runtime(np.array(self._start), state, last_only=True)
        explanations += self._explain(logits, tokens[:1], top)
        state = self.runtime.initial_state()
        for start in range(0, len(tokens) - 1, PIECE):
            piece = tokens[start : min(start + PIECE, len(tokens) - 1)]
            logits, state = self.runtime(np.array(piece), state)
            explanations += self._explain(logits, tokens[start + 1 : start + 1 + PIECE], top)
        return explanations

    def next_distribution(
        self, prompt: str = "", top: int | None = 10, *, strict: bool = False
    ) -> list[tuple[str, float]]:
        """The likeliest next tokens with their probabilities, the likeliest first.

        Args:
            prompt: the text before.
            top: how many; None gives the whole vocabulary.
            strict: make characters that the model never saw an error.
        """
        cursor = Cursor(self.runtime)
        cursor.read(self.encode_prompt(prompt, strict=strict).tokens)
        count = self.runtime.vocab_size if top is None else top
        return self._alternatives(np.exp(log_probabilities(cursor.logits)), count)

    def chat(
        self,
        *,
        user: str = "YOU",
        name: str = "MODEL",
        system: str = "",
        **options: Unpack[Options],
    ) -> Dialogue:
        """A conversation with the model; one of plain text improvises it.

        Args:
            user, name: what you and the model are called where it improvises.
            system: a message that stands before the conversation.
            options: settings of the replies.
        """
        return Dialogue(self, user=user, name=name, system=system, **options)

    def encode_messages(
        self,
        messages: Sequence[Message],
        *,
        names: SpeakerNames | None = None,
        reply: Role = "assistant",
        strict: bool = False,
    ) -> ChatPrompt:
        """What the model reads before its reply to `messages`; `continue_from` takes it.

        A model that learned conversations gets them in its chat template, one of plain text as a
        dialogue of `NAME: words`, which a warning says. Where the context is too small, the oldest
        whole turns are dropped, never the system message or the last turn, so that a quarter of it
        is free for the reply.

        Args:
            messages: what was said, the oldest first.
            names: what the two are called in a dialogue of plain text.
            reply: whose turn the model writes.
            strict: make characters that the model never saw an error.

        Raises:
            RequestError: a role is none of `system`, `user`, `assistant`.
            TokenizerError: `strict`, and there are characters that the model never saw.
        """
        return encode_messages(
            self.tokenizer,
            messages,
            block_size=self.runtime.block_size,
            names=names or SpeakerNames(),
            reply=reply,
            strict=strict,
        )

    def reply_to(self, prompt: ChatPrompt, **options: Unpack[Options]) -> Generation:
        """The turn that goes on from what `encode_messages` gave."""
        request = check(options, self.defaults)
        cursor = Cursor(self.runtime)
        cursor.read(prompt.tokens)
        return _finish(self.continue_from(cursor, prompt, request, request.seed))

    def encode_prompt(self, prompt: str, *, strict: bool = False) -> Prompt:
        """`prompt` as the model reads it; one of conversations takes it for a first turn's start.

        Raises:
            TokenizerError: `strict`, and it has characters that the model never saw.
        """
        if self.tokenizer.chat:
            text = turn_text(prompt) if prompt.strip() else ""
            words, warnings = self.tokenizer.encode_prompt(text, strict=strict)
            return Prompt(prompt, [*self._start, *words], warnings)
        tokens, warnings = self.tokenizer.encode_prompt(prompt, strict=strict)
        return Prompt(prompt, tokens or self._start, warnings)

    @property
    def _start(self) -> list[int]:
        """What stands for the start of a text: the first of these that is a token by itself; of
        conversations, what a first turn begins with."""
        if chat := self.tokenizer.chat:
            return [chat.bos_id, chat.role_ids["user"]]
        for text in ("\n", " "):
            tokens = self.tokenizer.encode(text)
            if len(tokens) == 1 and tokens[0] != self.tokenizer.unk_id:
                return tokens
        for token in (self.tokenizer.eos_id, self.tokenizer.bos_id):
            if token is not None:
                return [token]
        return [0]

    def _explain(self, logits: Floats, tokens: Sequence[int], top: int) -> list[Explanation]:
        """Tokens (T,) beside the logits (T, V) before each."""
        spread = np.exp(log_probabilities(logits))
        return [
            Explanation(
                self.tokenizer.token_text(token), float(row[token]), self._alternatives(row, top)
            )
            for token, row in zip(tokens, spread, strict=True)
        ]

    def _alternatives(self, probabilities: Doubles, count: int) -> list[tuple[str, float]]:
        return [
            (self.tokenizer.token_text(int(token)), float(probabilities[token]))
            for token in ranked(probabilities, count)
        ]


def _finish(stream: Stream) -> Generation:
    while stream.step() is not None:
        pass
    return stream.generation
