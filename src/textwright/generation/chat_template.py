"""Messages to the prompt that a model reads.

A model trained on conversations gets the format of its training, which is also the `transformers`
chat template in its `tokenizer_config.json`. A model of plain text gets the dialogue as a play has
it, a blank line between turns:

    YOU: What news?

    MODEL: The king is dead.

    YOU: Long live the king!

    MODEL:
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textwright.errors import RequestError
from textwright.generation.options import Prompt
from textwright.tokenizers import Role, Tokenizer, check_role, turn_text

TURN_SEPARATOR = "\n\n"
"""Between turns of plain text; as a stop string it ends the reply."""

IMPROVISED_WARNING = (
    "this model learned from plain text, not from conversations, and improvises a dialogue"
)

_REPLY_SHARE = 4
"""The prompt leaves 1/4 of the context free for the reply."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


def to_message(message: Message | Mapping[str, Any]) -> Message:
    """`message`, or what a dict with `role` and `content` says, as clients of chat APIs write it.

    Raises:
        RequestError: it is neither.
    """
    if isinstance(message, Message):
        return message
    role = message.get("role") if isinstance(message, Mapping) else None
    content = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(role, str) or not isinstance(content, str):
        raise RequestError(
            f"a message is {{'role': 'user', 'content': 'words'}}, not {str(message)[:80]}"
        )
    return Message(check_role(role), content)


@dataclass(frozen=True)
class ChatPrompt(Prompt):
    """A conversation up to the words of the reply, for `Generator.continue_from`.

    The text that the model continues it with begins with white space; `strip_stream` removes it.
    """

    dropped: int = 0
    """How many of the oldest turns were left out because the context is full."""


@dataclass(frozen=True)
class SpeakerNames:
    """The speakers in a dialogue of plain text, e.g. ROMEO and JULIET."""

    user: str = "YOU"
    model: str = "MODEL"

    def __post_init__(self) -> None:
        """Raises `RequestError`: a name is empty or of several lines, or both are the same."""
        names = (self.user, self.model)
        invalid = any(not name.strip() or "\n" in name for name in names)
        if invalid or self.user.strip() == self.model.strip():
            raise RequestError("the two who talk need names, of one line and not the same")


def encode_messages(
    tokenizer: Tokenizer,
    messages: Sequence[Message | Mapping[str, Any]],
    *,
    block_size: int | None,
    names: SpeakerNames,
    reply: Role = "assistant",
    strict: bool = False,
) -> ChatPrompt:
    """The prompt for the model's reply to `messages`; see `Generator.encode_messages`."""
    said = [to_message(message) for message in messages]
    for message in said:
        check_role(message.role)
    encoder = _Encoder(tokenizer, names, check_role(reply), strict)
    budget = None if block_size is None else block_size - block_size // _REPLY_SHARE
    system = [encoder.turn(one) for one in said if one.role == "system"]
    spoken = [one for one in said if one.role != "system"]
    if budget is not None:
        budget -= len(encoder.begin) + len(encoder.end) + sum(len(turn.tokens) for turn in system)
    turns = _latest_turns(encoder, spoken, budget)
    warnings = [] if tokenizer.chat else [IMPROVISED_WARNING]
    if budget is not None and budget < 0:
        warnings.append("the system message is longer than the model's context has room for")
    elif budget is not None and turns and len(turns[0].tokens) > budget:
        warnings.append("the last message is longer than the model's context: it reads the end")
    turns = [*system, *turns]
    for turn in turns:
        warnings += turn.warnings
    return ChatPrompt(
        encoder.begin_text + "".join(turn.text for turn in turns) + encoder.end_text,
        [*encoder.begin, *(token for turn in turns for token in turn.tokens), *encoder.end],
        list(dict.fromkeys(warnings)),
        stop=encoder.stops,
        is_chat=tokenizer.chat is not None,
        dropped=len(said) - len(turns),
    )


class StreamStripper:
    """`str.strip` for a text that comes in pieces: holds white space back until more text comes."""

    def __init__(self) -> None:
        self._started = False
        self._space = ""

    def push(self, piece: str) -> str:
        """The next part of the stripped text, given the next part of the text."""
        piece = piece if self._started else piece.lstrip()
        self._started = self._started or bool(piece)
        text = self._space + piece
        stripped = text.rstrip()
        self._space = text[len(stripped) :]
        return stripped


def strip_stream(pieces: Iterable[str]) -> Iterator[str]:
    """The text that `pieces` make, stripped, in pieces that aren't empty."""
    stripper = StreamStripper()
    for piece in pieces:
        if stripped := stripper.push(piece):
            yield stripped


class _Encoder:
    """Encodes turns one by one: `begin`, the turns and `end`, joined, are the prompt."""

    def __init__(
        self, tokenizer: Tokenizer, names: SpeakerNames, reply: Role, strict: bool
    ) -> None:
        self._tokenizer, self._names, self._strict = tokenizer, names, strict
        chat = tokenizer.chat
        if chat:
            self.begin, self.end = [chat.bos_id], [chat.role_ids[reply]]
            self.begin_text, self.end_text = map(tokenizer.token_text, (*self.begin, *self.end))
            self.stops: tuple[str, ...] = ()
        else:
            self.end_text = f"{TURN_SEPARATOR}{self._name(reply)}:"
            self.begin, self.begin_text = [], ""
            self.end = tokenizer.encode_prompt(self.end_text)[0]
            self.stops = (
                TURN_SEPARATOR,
                *self._turn_starts("user" if reply == "assistant" else "assistant"),
            )

    def turn(self, message: Message) -> Prompt:
        """A turn with its separators. Raises `TokenizerError` for unknown characters if strict."""
        chat = self._tokenizer.chat
        if chat is None:
            text = TURN_SEPARATOR + self._line(message)
            return Prompt(text, *self._tokenizer.encode_prompt(text, strict=self._strict))
        text = turn_text(message.content)
        words, warnings = self._tokenizer.encode_prompt(text, strict=self._strict)
        begin = chat.role_ids[message.role]
        name, end = map(self._tokenizer.token_text, (begin, chat.eos_id))
        return Prompt(name + text + end, [begin, *words, chat.eos_id], warnings)

    def _line(self, message: Message) -> str:
        words = " ".join(message.content.split())
        if message.role == "system":
            return words
        return f"{self._name(message.role)}: {words}"

    def _name(self, role: Role) -> str:
        return (self._names.user if role == "user" else self._names.model).strip()

    def _turn_starts(self, role: Role) -> list[str]:
        """How a turn of `role` begins; also as the tokenizer decodes it, e.g. in lower case."""
        start = f"\n{self._name(role)}:"
        decoded = self._tokenizer.decode(self._tokenizer.encode_prompt(start)[0])
        return [start, decoded] if decoded.strip(" \n:") and decoded != start else [start]


def _latest_turns(encoder: _Encoder, spoken: Sequence[Message], budget: int | None) -> list[Prompt]:
    """The last turns that fit into `budget` tokens, at least one.

    Where some are left out, the first is the user's, as in the conversations of the training.
    """
    turns: list[Prompt] = []
    first = len(spoken)
    for message in reversed(spoken):
        turn = encoder.turn(message)
        if budget is not None:
            budget -= len(turn.tokens)
            if budget < 0 and turns:
                break
        turns.insert(0, turn)
        first -= 1
    while 0 < first < len(spoken) - 1 and spoken[first].role != "user":
        turns.pop(0)
        first += 1
    return turns
