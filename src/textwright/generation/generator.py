"""A model with its tokenizer: text in, text out."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack

import numpy as np

from textwright.errors import RequestError, RunError
from textwright.generation.chat import Dialogue
from textwright.generation.chat_template import ChatPrompt, Message, SpeakerNames, encode_messages
from textwright.generation.continuation import Continuation, Stream
from textwright.generation.copying import CopyGuard
from textwright.generation.cursor import CHUNK, Cursor, count_unread
from textwright.generation.options import (
    GenerationConfig,
    Options,
    Prompt,
    Request,
    check,
    end_token,
)
from textwright.generation.results import Explanations, Generation, Scores, Step
from textwright.generation.sampling import check_seed, log_probabilities, top_tokens
from textwright.notebook_display import play
from textwright.runs import Run
from textwright.runtimes.base import Runtime
from textwright.tokenizers import Role, Tokenizer, turn_text

logger = logging.getLogger("textwright")


class Generator:
    """Generates text; see `Options` for the settings that every method takes.

    Immutable, so threads may share it.
    """

    def __init__(
        self,
        runtime: Runtime,
        tokenizer: Tokenizer,
        *,
        name: str = "model",
        defaults: GenerationConfig | None = None,
        run: Run | None = None,
        guard: CopyGuard | None = None,
    ) -> None:
        """
        Args:
            runtime: from `load_runtime`.
            tokenizer: of the same vocabulary.
            name: of the model, in errors and responses.
            defaults: what holds for settings that a request leaves out.
            run: the folder it was read from, where there is one; `play` packs it.
            guard: what keeps every text from copying.

        Raises:
            RunError: tokenizer and model have vocabularies of different sizes.
        """
        if tokenizer.vocab_size != runtime.vocab_size:
            raise RunError(
                f"run {name!r}: tokenizer.json has {tokenizer.vocab_size:,} tokens and the model "
                f"{runtime.vocab_size:,}; copy both from one training"
            )
        self.runtime = runtime
        self.tokenizer = tokenizer
        self.name = name
        self.run = run
        self.defaults = defaults or GenerationConfig()
        self._guard = guard
        size = runtime.vocab_size
        own_end = end_token(tokenizer)
        self._eos_ids = self.defaults.eos_ids.union(() if own_end is None else (own_end,))
        suppress_tokens = self.defaults.suppress_tokens.union(tokenizer.suppress_tokens)
        self._suppress_tokens = sorted(token for token in suppress_tokens if token < size)
        if len(self._suppress_tokens) == size:
            raise RunError(f"run {name!r} may draw no token at all; train it on more text")

    def on(self, runtime: Runtime) -> Generator:
        """The same model on another runtime, one that is steered."""
        return Generator(
            runtime, self.tokenizer, name=self.name, defaults=self.defaults, run=self.run,
            guard=self._guard,
        )  # fmt: skip

    def generate(self, prompt: str = "", **options: Unpack[Options]) -> Generation:
        """Continue `prompt`; an empty one starts a line.

        Raises:
            RequestError: a setting is out of range.
            TokenizerError: `strict`, and the prompt has characters outside the vocabulary.
        """
        return self.stream(prompt, **options).run()

    def generate_many(
        self, prompt: str = "", count: int = 1, **options: Unpack[Options]
    ) -> list[Generation]:
        """`count` continuations with the seeds `seed`, `seed` + 1 …; the prompt is read once."""
        return [stream.run() for stream in self.streams(prompt, count, **options)]

    def stream(self, prompt: str = "", **options: Unpack[Options]) -> Stream:
        """The continuation in pieces as they come; its `.generation` is the whole."""
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
            _ = cursor.logits  # reads the prompt, once for all copies
        return (self.continue_from(cursor.copy(), encoded, request, seed) for seed in seeds)

    def continue_from(
        self, cursor: Cursor, prompt: Prompt, request: Request, seed: int, *, ahead: bool = True
    ) -> Stream:
        """A stream that continues `cursor`, which has read `prompt` and is not copied.

        Args:
            cursor, prompt, request, seed: the text.
            ahead: as for `Stream`.
        """
        return Stream(cursor, self.begin(prompt, request, seed), ahead=ahead)

    def begin(self, prompt: Prompt, request: Request, seed: int) -> Continuation:
        """An empty continuation of `prompt`, for callers that supply the logits."""
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
            guard=self._guard,
        )

    def steps(self, prompt: str = "", **options: Unpack[Options]) -> Iterator[Step]:
        """The continuation token by token, with the model's distribution for each."""
        return self.stream(prompt, **options).steps()

    def explain(self, text: str, *, top: int = 5, strict: bool = False) -> Explanations:
        """The probability of each token of `text` given those before it, with alternatives.

        Args:
            text: of any length.
            top: how many alternatives for each token.
            strict: make characters outside the vocabulary an error.
        """
        if top < 0:
            raise RequestError(f"top must be at least 0, not {top}")
        tokens, warnings = self.tokenizer.encode_prompt(text, strict=strict)
        for warning in warnings:
            logger.warning(warning)
        return self.explain_tokens(tokens, top=top)

    def explain_tokens(self, tokens: Sequence[int], *, top: int = 5) -> Explanations:
        """As `explain`, for token ids, each below the vocabulary's size."""
        name = self.tokenizer.token_text
        scores = list(self.score(tokens, top=top))
        return Explanations(each for piece in scores for each in piece.explain(name))

    def score(self, tokens: Sequence[int], *, top: int = 5) -> Iterator[Scores]:
        """As `explain_tokens`, in pieces, each computed when it is asked for."""
        if not tokens:
            return
        # The first token is conditioned on the start tokens, the rest on the text alone.
        state = self.runtime.initial_state()
        logits, _ = self.runtime(np.array(self._start_tokens), state, last_only=True)
        yield Scores.of(logits, tokens[:1], top)
        state = self.runtime.initial_state()
        for start in range(0, len(tokens) - 1, CHUNK):
            end = min(start + CHUNK, len(tokens) - 1)
            logits, state = self.runtime(np.array(tokens[start:end]), state)
            yield Scores.of(logits, tokens[start + 1 : end + 1], top)

    def next_distribution(
        self, prompt: str = "", top: int | None = 10, *, strict: bool = False
    ) -> list[tuple[str, float]]:
        """The likeliest next tokens with their probabilities, the likeliest first.

        Args:
            prompt: the text before.
            top: how many; None gives the whole vocabulary.
            strict: make characters outside the vocabulary an error.
        """
        cursor = Cursor(self.runtime)
        cursor.read(self.encode_prompt(prompt, strict=strict).tokens)
        probabilities = np.exp(log_probabilities(cursor.logits))
        return top_tokens(probabilities, top, self.tokenizer.token_text)

    def chat(
        self,
        *,
        user: str = "YOU",
        name: str = "MODEL",
        system: str = "",
        **options: Unpack[Options],
    ) -> Dialogue:
        """A conversation with the model.

        Args:
            user, name: the speakers, where the model learned from plain text.
            system: a message before the conversation.
            options: settings of the replies.
        """
        return Dialogue(self, user=user, name=name, system=system, **options)

    def encode_messages(
        self,
        messages: Sequence[Message | Mapping[str, Any]],
        *,
        names: SpeakerNames | None = None,
        reply: Role = "assistant",
        strict: bool = False,
    ) -> ChatPrompt:
        """The prompt for the reply to `messages`; `continue_from` takes it.

        A model trained on conversations gets them in its chat template, one of plain text as a
        dialogue of `NAME: words`, with a warning. Where the context is too small, the oldest turns
        are dropped whole, never the system message or the last turn, so that a quarter of the
        context is free for the reply.

        Args:
            messages: the conversation, the oldest first; as `Message`, or as dicts with `role` and
                `content`.
            names: the speakers in a dialogue of plain text.
            reply: whose turn the model generates.
            strict: make characters outside the vocabulary an error.

        Raises:
            RequestError: a message is neither, or a role is none of `system`, `user`, `assistant`.
            TokenizerError: `strict`, and there are characters outside the vocabulary.
        """
        return encode_messages(
            self.tokenizer,
            messages,
            block_size=self.runtime.block_size,
            names=names or SpeakerNames(),
            reply=reply,
            strict=strict,
        )

    def play(self) -> object:
        """The page with this model inside, for a cell of a notebook: branches, neurons and all.

        Raises:
            RequestError: the page can't run this model, or it was made without a folder.
        """
        return play(self)

    def reply_to(self, prompt: ChatPrompt, **options: Unpack[Options]) -> Generation:
        """The whole reply to a prompt of `encode_messages`."""
        request = check(options, self.defaults)
        cursor = Cursor(self.runtime)
        cursor.read(prompt.tokens)
        return self.continue_from(cursor, prompt, request, request.seed).run()

    def encode_prompt(self, prompt: str, *, strict: bool = False) -> Prompt:
        """`prompt` as ids; a model of conversations gets it as the start of a user's first turn.

        Raises:
            TokenizerError: `strict`, and it has characters outside the vocabulary.
        """
        if self.tokenizer.chat:
            text = turn_text(prompt) if prompt.strip() else ""
            words, warnings = self.tokenizer.encode_prompt(text, strict=strict)
            tokens = [*self._start_tokens, *words]
        else:
            tokens, warnings = self.tokenizer.encode_prompt(prompt, strict=strict)
            tokens = tokens or self._start_tokens
        warnings = [*warnings, *self.context_warnings(tokens)]
        return Prompt(prompt, array("q", tokens), warnings)

    def context_warnings(self, tokens: Sequence[int]) -> list[str]:
        """A line where a prompt of these tokens is longer than the model's context."""
        unread = count_unread(len(tokens), self.runtime.block_size)
        if not unread:
            return []
        return [
            f"the prompt's {len(tokens):,} tokens are more than the model's context of "
            f"{self.runtime.block_size:,}: it doesn't see the first {unread:,}"
        ]

    def prompt_places(self, prompt: str) -> list[int]:
        """Where in `prompt` each token of `encode_prompt` is, in characters, never going back."""
        chat = self.tokenizer.chat
        text = prompt
        if chat:
            text = turn_text(prompt) if prompt.strip() else ""
        places = self.tokenizer.prompt_places(text)
        if chat is None:
            return places or [0] * len(self._start_tokens)
        origins = _turn_origins(prompt, text)
        return [*(0 for _ in self._start_tokens), *(origins[place] for place in places)]

    @property
    def _start_tokens(self) -> list[int]:
        """Ids that stand for the start of a text: of conversations, `<bos>` and the user's role;
        else the first of line end, space, `<eos>`, `<bos>` that is one token, else id 0."""
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


def _turn_origins(words: str, turn: str) -> list[int]:
    """The place in `words` of each character of `turn_text(words)`, which has more spaces, and of
    its end."""
    place = len(words) - len(words.lstrip())
    end = len(words.rstrip())
    origins = []
    for index, character in enumerate(turn):
        origins.append(place)
        if index and place < end and words[place] == character:
            place += 1
    return [*origins, place]
