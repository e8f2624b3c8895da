"""A conversation with a model of plain text, which has to improvise one.

The dialogue is written as plain text has them, a blank line between turns:

    YOU: What news?

    MODEL: The king is dead.

The model continues after its own name, and stops at the blank line or where it begins to speak
for the user. What was said stays in the model's state, so a turn costs its own length.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Protocol, Unpack

from textwright.errors import RequestError
from textwright.generation.cursor import Cursor
from textwright.generation.defaults import Defaults
from textwright.generation.requests import Options, Prompt, Request, check
from textwright.generation.runtime import Runtime
from textwright.generation.stopping import StopFilter
from textwright.generation.stream import Stream
from textwright.tokenizers import Tokenizer

BETWEEN = "\n\n"
"""What ends a turn."""


class Model(Protocol):
    """What a dialogue needs of a `Generator`."""

    runtime: Runtime
    tokenizer: Tokenizer
    defaults: Defaults

    def encode_prompt(self, prompt: str, *, strict: bool = False) -> Prompt: ...

    def continue_from(
        self, cursor: Cursor, prompt: Prompt, request: Request, seed: int
    ) -> Stream: ...


class Dialogue:
    """Takes turns with a model; each reply continues everything said before."""

    def __init__(
        self,
        generator: Model,
        *,
        user: str = "YOU",
        name: str = "MODEL",
        **options: Unpack[Options],
    ) -> None:
        """
        Args:
            generator: the model.
            user, name: what the two are called in the text, e.g. ROMEO and JULIET.
            options: settings of the replies; reply n is drawn with the seed `seed` + n.

        Raises:
            RequestError: a setting is out of range, or a name is empty, or both are the same.
        """
        self.user, self.name = user.strip(), name.strip()
        if not self.user or not self.name or self.user == self.name or "\n" in user + name:
            raise RequestError("the two who talk need names, of one line and not the same")
        self._generator = generator
        self.options: Options = options
        self._request = check(options, generator.defaults)
        self._turns = 0
        self._cursor = Cursor(generator.runtime)
        self._tokens: list[int] = []
        self._written = ""
        """The end of the text that the model has read."""
        self.warnings: list[str] = []
        """Of the last turn, e.g. characters that the model never saw."""

    def change(self, **options: Unpack[Options]) -> None:
        """Other settings for the replies to come; a seed counts from the next one.

        Raises:
            RequestError: a setting is out of range; nothing has changed then.
        """
        changed: Options = {**self.options, **options}
        if "seed" not in options:
            changed["seed"] = self._request.seed
        self._request = check(changed, self._generator.defaults)
        self.options = changed
        if "seed" in options:
            self._turns = 0

    def say(self, text: str) -> str:
        """The reply to `text`, whole."""
        return "".join(self.stream(text))

    def stream(self, text: str) -> Generator[str, None, None]:
        """The reply to `text`, piece by piece; closing it early ends the model's turn."""
        stream = self._answer(text)
        try:
            yield from _turn(stream)
        finally:
            self._tokens += stream.generation.tokens
            self._written = stream.generation.text + stream.rest

    def _answer(self, text: str) -> Stream:
        """Read the user's turn and the name of who speaks next."""
        turn = f"{self._to_user()} {' '.join(text.split())}{BETWEEN}{self.name}:"
        prompt = self._generator.encode_prompt(turn, strict=self._request.strict)
        self.warnings = prompt.warnings
        self._cursor.read(prompt.tokens)
        self._tokens += prompt.tokens
        seed = self._request.seed + self._turns
        self._turns += 1
        sampling = self._request.sampling
        stops = {"stop": [*sampling.stop, *self._cues()]}
        request = replace(self._request, sampling=sampling.model_copy(update=stops))
        said = Prompt(turn, self._tokens, prompt.warnings)
        return self._generator.continue_from(self._cursor, said, request, seed)

    def _to_user(self) -> str:
        """What is still to be written until it is the user's turn to speak."""
        if self._written.endswith(f"\n{self.user}:"):
            return ""
        blank = "" if self._written.endswith(BETWEEN) else BETWEEN
        return f"{blank}{self.user}:"

    def _cues(self) -> list[str]:
        """Where the user's turn begins; also as the tokenizer writes it, e.g. in lower case."""
        cue = f"\n{self.user}:"
        tokenizer = self._generator.tokenizer
        own = tokenizer.decode(tokenizer.encode_prompt(cue)[0])
        return [cue, own] if own.strip(" \n:") else [cue]


def _turn(pieces: Iterator[str]) -> Iterator[str]:
    """A turn up to the blank line that ends it, without white space at its beginning and end."""
    until_blank = StopFilter([BETWEEN])
    begun = False
    white = ""
    for piece in pieces:
        fresh = piece if begun else piece.lstrip()
        begun = begun or bool(fresh)
        text = white + until_blank.push(fresh)
        kept = text.rstrip()
        white = text[len(kept) :]
        if kept:
            yield kept
        if until_blank.stopped:
            return
    if rest := (white + until_blank.flush()).rstrip():
        yield rest
