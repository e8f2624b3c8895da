"""A conversation with a model, turn by turn.

Each reply is to all messages so far. The model's state is reused, so a turn costs its own tokens
only; after `undo`, and where the oldest turns were dropped, the whole prompt is read again.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Protocol, Unpack

import numpy as np

from textwright import atomic
from textwright.errors import RequestError
from textwright.generation.chat_template import (
    IMPROVISED_WARNING,
    ChatPrompt,
    Message,
    SpeakerNames,
    strip_stream,
)
from textwright.generation.continuation import Stream
from textwright.generation.cursor import Cursor
from textwright.generation.options import GenerationConfig, Options, Prompt, Request, check
from textwright.generation.sampling import check_seed, log_probabilities, top_tokens
from textwright.notebook_display import html_of, print_plain
from textwright.runtimes.base import Runtime
from textwright.tokenizers import Role, Tokenizer, check_role


class Model(Protocol):
    """The part of `Generator` that a dialogue uses."""

    runtime: Runtime
    tokenizer: Tokenizer
    defaults: GenerationConfig

    def encode_messages(
        self,
        messages: Sequence[Message],
        *,
        names: SpeakerNames | None = None,
        reply: Role = "assistant",
        strict: bool = False,
    ) -> ChatPrompt: ...

    def continue_from(
        self, cursor: Cursor, prompt: Prompt, request: Request, seed: int, *, ahead: bool = True
    ) -> Stream: ...


class Dialogue:
    """A conversation of a user with a model."""

    _repr_html_ = html_of
    _repr_pretty_ = print_plain

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
            user, name: the speakers in a dialogue of plain text, e.g. ROMEO and JULIET.
            system: a message before the conversation, which is never dropped.
            options: settings of the replies; reply n has the seed `seed` + n, from 0.

        Raises:
            RequestError: a setting is out of range, or a name is empty, or both are the same.
        """
        self.names = SpeakerNames(user.strip(), name.strip())
        self._generator = generator
        self.options: Options = options
        self._request = check(options, generator.defaults)
        self._replies = 0  # since the seed was set
        self._cursor: Cursor | None = None
        self._cursor_tokens: list[int] = []
        """Ids that the cursor has read."""
        self.messages: list[Message] = []
        """The conversation so far, without the system message."""
        self.system = system
        self.dropped = 0
        """How many of the oldest turns the last prompt left out because the context was full."""
        self.warnings: list[str] = []
        """Of the last reply, each once in a conversation, e.g. unknown characters."""
        self._warned = {IMPROVISED_WARNING}  # `improvises` tells that

    @property
    def improvises(self) -> bool:
        """Whether the model was trained on plain text, not on conversations."""
        return self._generator.tokenizer.chat is None

    def speaker(self, role: Role) -> str:
        """What a side is called: its name in a dialogue of plain text, else its role."""
        if not self.improvises:
            return role
        return self.names.user if role == "user" else self.names.model

    def change(self, **options: Unpack[Options]) -> None:
        """Change settings of the next replies; a seed starts the count of replies again.

        Raises:
            RequestError: a setting is out of range; nothing was changed.
        """
        changed: Options = {**self.options, **options}
        if "seed" not in options:
            changed["seed"] = self._request.seed
        self._request = check(changed, self._generator.defaults)
        self.options = changed
        if "seed" in options:
            self._replies = 0

    def say(self, text: str) -> str:
        """The whole reply to `text`."""
        return "".join(self.stream(text))

    def stream(self, text: str) -> Generator[str, None, None]:
        """The reply to `text`, piece by piece; closing the generator ends the model's turn.

        Raises:
            RequestError: `text` can't be encoded, e.g. `strict`; nothing was changed.
        """
        return self._reply([*self.messages, Message("user", text)])

    def retry(self) -> Generator[str, None, None]:
        """Another reply to the user's last message, with the next seed.

        Raises:
            RequestError: there is none, or the prompt can't be encoded; nothing was changed.
        """
        return self._reply(self._until_user(", so there is nothing to try again"))

    def undo(self) -> Message:
        """Remove the user's last message and the reply to it; returns that message.

        Raises:
            RequestError: there is none.
        """
        *self.messages, message = self._until_user(", so there is nothing to undo")
        return message

    def next_distribution(
        self, beginning: str = "", top: int | None = 10
    ) -> list[tuple[str, float]]:
        """The likeliest next tokens of the reply to the user's last message, with probabilities.

        Args:
            beginning: words that the reply is assumed to begin with.
            top: how many; None gives the whole vocabulary.

        Raises:
            RequestError: there is no message of the user.
        """
        messages = self._until_user("; say something first")
        tokenizer = self._generator.tokenizer
        prompt = self._prompt(messages)
        words = f" {beginning.strip()}" if beginning.strip() else ""
        cursor = Cursor(self._generator.runtime)
        cursor.read([*prompt.tokens, *tokenizer.encode_prompt(words)[0]])
        probabilities = np.exp(log_probabilities(cursor.logits))
        return top_tokens(probabilities, top, tokenizer.token_text)

    def save(self, file: str | Path) -> None:
        """Write the conversation as one JSON line, `{"messages": [{"role", "content"} …]}`: what
        `load` takes, and what a model can be trained on.

        Raises:
            TextwrightError: the file can't be written.
        """
        record = {"messages": [{"role": m.role, "content": m.content} for m in self._all()]}
        atomic.write_text(Path(file), json.dumps(record, ensure_ascii=False) + "\n")

    def load(self, file: str | Path) -> None:
        """Replace this conversation by one that `save` wrote.

        Raises:
            RequestError: the file can't be read, or has none; nothing was changed.
        """
        try:
            record = json.loads(Path(file).expanduser().read_text(encoding="utf-8-sig"))
            messages = [
                Message(check_role(one["role"]), _string(one["content"]))
                for one in record["messages"]
            ]
        except OSError as error:
            raise RequestError(
                f"{file} can't be read ({error.strerror}); check its name"
            ) from error
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

    def _prompt(self, messages: Sequence[Message]) -> ChatPrompt:
        system = [one for one in self._all() if one.role == "system"]
        return self._generator.encode_messages(
            [*system, *messages], names=self.names, strict=self._request.strict
        )

    def _reply(self, messages: list[Message]) -> Generator[str, None, None]:
        """Stream the reply to `messages`, which become the conversation once nothing can fail."""
        prompt = self._prompt(messages)
        seed = check_seed(self._request.seed + self._replies)
        self._replies += 1
        self.messages = messages
        self.dropped = prompt.dropped
        self.warnings = [line for line in prompt.warnings if line not in self._warned]
        self._warned.update(self.warnings)
        cursor = self._cursor_after(list(prompt.tokens))  # which the next reply continues
        stream = self._generator.continue_from(cursor, prompt, self._request, seed, ahead=False)
        return self._pieces(stream)

    def _pieces(self, stream: Stream) -> Generator[str, None, None]:
        try:
            yield from strip_stream(stream)
        finally:
            self._cursor_tokens += stream.generation.tokens
            self.messages.append(Message("assistant", stream.generation.text.strip()))

    def _cursor_after(self, tokens: list[int]) -> Cursor:
        """A cursor that has read `tokens`; the present one is reused if they continue its own."""
        count = len(self._cursor_tokens)
        if self._cursor is None or count >= len(tokens) or tokens[:count] != self._cursor_tokens:
            self._cursor, count = Cursor(self._generator.runtime), 0
        self._cursor.read(tokens[count:])
        self._cursor_tokens = tokens
        return self._cursor


def converse(
    generator: Model, opening: str, turns: int, **options: Unpack[Options]
) -> list[Message]:
    """A conversation in which the model writes both sides after the first turn.

    Args:
        generator: the model.
        opening: the user's first message.
        turns: how many in all, the first included.
        options: settings of the turns; the n-th generated has the seed `seed` + n, from 0.
    """
    request = check(options, generator.defaults)
    messages = [Message("user", opening)]
    for number in range(turns - 1):
        role: Role = "assistant" if messages[-1].role == "user" else "user"
        prompt = generator.encode_messages(messages, reply=role, strict=request.strict)
        cursor = Cursor(generator.runtime)
        cursor.read(prompt.tokens)
        stream = generator.continue_from(cursor, prompt, request, request.seed + number)
        messages.append(Message(role, "".join(strip_stream(stream))))
    return messages


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
