"""A conversation with a model, turn by turn.

What was said is kept as messages; each reply is to all of them. What the model has read stays in
its state, so a turn costs its own length; after `undo`, or where the oldest turns had to go, the
model reads anew.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Protocol, Unpack

import numpy as np

from textwright import atomic
from textwright.errors import RequestError
from textwright.generation.chat_template import IMPROVISED, ChatPrompt, Message, Names, trimmed
from textwright.generation.cursor import Cursor
from textwright.generation.generation_config import GenerationConfig
from textwright.generation.options import Options, Prompt, Request, check
from textwright.generation.sampling import check_seed, log_probabilities, ranked
from textwright.generation.stream import Stream
from textwright.runtimes.base import Runtime
from textwright.tokenizers import Role, Tokenizer, check_role


class Model(Protocol):
    """What a dialogue needs of a `Generator`."""

    runtime: Runtime
    tokenizer: Tokenizer
    defaults: GenerationConfig

    def encode_messages(
        self,
        messages: Sequence[Message],
        *,
        names: Names | None = None,
        reply: Role = "assistant",
        strict: bool = False,
    ) -> ChatPrompt: ...

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
        system: str = "",
        **options: Unpack[Options],
    ) -> None:
        """
        Args:
            generator: the model.
            user, name: what the two are called where a model of plain text improvises, e.g. ROMEO
                and JULIET.
            system: a message that stands before the conversation and is never dropped.
            options: settings of the replies; reply n is drawn with the seed `seed` + n.

        Raises:
            RequestError: a setting is out of range, or a name is empty, or both are the same.
        """
        self.names = Names(user.strip(), name.strip())
        self._generator = generator
        self.options: Options = options
        self._request = check(options, generator.defaults)
        self._drawn = 0
        self._cursor: Cursor | None = None
        self._read: list[int] = []
        """What the cursor has read."""
        self.messages: list[Message] = []
        """What was said; without the system message."""
        self.system = system
        self.dropped = 0
        """How many of the oldest turns the last reply did without, for the context was full."""
        self.warnings: list[str] = []
        """Of the last reply, e.g. characters that the model never saw."""
        self._warned = {IMPROVISED}  # the command says that in its own words

    @property
    def improvises(self) -> bool:
        """Whether the model learned from plain text."""
        return self._generator.tokenizer.chat is None

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
            self._drawn = 0

    def say(self, text: str) -> str:
        """The reply to `text`, whole."""
        return "".join(self.stream(text))

    def stream(self, text: str) -> Generator[str, None, None]:
        """The reply to `text`, piece by piece; closing it early ends the model's turn.

        Raises:
            RequestError: the model can't read `text`, e.g. `strict`; it is not said then.
        """
        return self._reply([*self.messages, Message("user", text)])

    def retry(self) -> Generator[str, None, None]:
        """Another reply, drawn anew, to what the user said last.

        Raises:
            RequestError: nothing was said yet, or it can't be read any more, e.g. because of
                another system message; the conversation stays as it was then.
        """
        return self._reply(self._until_user(", so there is nothing to try again"))

    def undo(self) -> Message:
        """Take back what the user said last, with the reply; gives what the user had said.

        Raises:
            RequestError: nothing was said yet.
        """
        *self.messages, message = self._until_user(", so there is nothing to undo")
        return message

    def next_distribution(
        self, beginning: str = "", top: int | None = 10
    ) -> list[tuple[str, float]]:
        """What the reply to what was said last goes on with after its first words `beginning`:
        the likeliest tokens with their probabilities, the likeliest first.

        Args:
            beginning: words that the reply is taken to begin with.
            top: how many; None gives the whole vocabulary.

        Raises:
            RequestError: nothing was said yet.
        """
        said = self._until_user("; say something first")
        tokenizer = self._generator.tokenizer
        prompt = self._prompt(said)
        words = f" {beginning.strip()}" if beginning.strip() else ""
        cursor = Cursor(self._generator.runtime)
        cursor.read([*prompt.tokens, *tokenizer.encode_prompt(words)[0]])
        spread = np.exp(log_probabilities(cursor.logits))
        count = len(spread) if top is None else top
        return [
            (tokenizer.token_text(int(token)), float(spread[token]))
            for token in ranked(spread, count)
        ]

    def save(self, file: str | Path) -> None:
        """Write the conversation as one JSON line, `{"messages": [{"role", "content"} …]}`: what
        `load` takes, and what a model can be trained on.

        Raises:
            TextwrightError: the file can't be written.
        """
        record = {"messages": [{"role": m.role, "content": m.content} for m in self._all()]}
        atomic.write_text(Path(file), json.dumps(record, ensure_ascii=False) + "\n")

    def load(self, file: str | Path) -> None:
        """Go on with a conversation that `save` wrote, in place of this one.

        Raises:
            RequestError: it can't be read, or is none; this conversation goes on then.
        """
        try:
            record = json.loads(Path(file).expanduser().read_text(encoding="utf-8-sig"))
            messages = [
                Message(check_role(one["role"]), _string(one["content"]))
                for one in record["messages"]
            ]
        except OSError as error:
            raise RequestError(f"{file} can't be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RequestError(
                f'{file} holds no conversation; it should be {{"messages": [{{"role", '
                '"content"} …]} as /save writes it'
            ) from error
        self.system = "\n".join(one.content for one in messages if one.role == "system")
        self.messages = [one for one in messages if one.role != "system"]

    def _all(self) -> list[Message]:
        system = [Message("system", self.system)] if self.system.strip() else []
        return [*system, *self.messages]

    def _until_user(self, hint: str) -> list[Message]:
        """The messages up to the user's last one. Raises `RequestError` where there is none."""
        messages = list(self.messages)
        while messages and messages[-1].role != "user":
            messages.pop()
        if not messages:
            raise RequestError(f"nothing was said yet{hint}")
        return messages

    def _prompt(self, said: Sequence[Message]) -> ChatPrompt:
        before = [one for one in self._all() if one.role == "system"]
        return self._generator.encode_messages(
            [*before, *said], names=self.names, strict=self._request.strict
        )

    def _reply(self, messages: list[Message]) -> Generator[str, None, None]:
        """Stream the reply to `messages`, which become the conversation once nothing can fail."""
        prompt = self._prompt(messages)
        seed = check_seed(self._request.seed + self._drawn)
        self._drawn += 1
        self.messages = messages
        self.dropped = prompt.dropped
        self.warnings = [line for line in prompt.warnings if line not in self._warned]
        self._warned.update(self.warnings)
        cursor = self._cursor_after(prompt.tokens)
        return self._pieces(self._generator.continue_from(cursor, prompt, self._request, seed))

    def _pieces(self, stream: Stream) -> Generator[str, None, None]:
        try:
            yield from trimmed(stream)
        finally:
            self._read += stream.generation.tokens
            self.messages.append(Message("assistant", stream.generation.text.strip()))

    def _cursor_after(self, tokens: list[int]) -> Cursor:
        """A cursor that has read `tokens`: the one there is, where it has read their beginning."""
        have = len(self._read)
        if self._cursor is None or have >= len(tokens) or tokens[:have] != self._read:
            self._cursor, have = Cursor(self._generator.runtime), 0
        self._cursor.read(tokens[have:])
        self._read = list(tokens)
        return self._cursor


def converse(
    generator: Model, opening: str, turns: int, **options: Unpack[Options]
) -> list[Message]:
    """A conversation of the model with itself, which writes both sides after the first turn.

    Args:
        generator: the model.
        opening: what the user says first.
        turns: how many in all.
        options: settings of the turns; the n-th drawn has the seed `seed` + n, from 0.
    """
    request = check(options, generator.defaults)
    said = [Message("user", opening)]
    for number in range(turns - 1):
        role: Role = "assistant" if said[-1].role == "user" else "user"
        prompt = generator.encode_messages(said, reply=role, strict=request.strict)
        cursor = Cursor(generator.runtime)
        cursor.read(prompt.tokens)
        stream = generator.continue_from(cursor, prompt, request, request.seed + number)
        said.append(Message(role, "".join(trimmed(stream))))
    return said


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
