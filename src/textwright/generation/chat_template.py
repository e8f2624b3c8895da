"""A conversation as a model reads it: by its one format, or, for plain text, improvised.

A model that learned conversations gets them in the format that it learned, which is also the
`transformers` chat template of its `tokenizer_config.json`. A model of plain text has never seen
one, and gets the dialogue as plain text has them, a blank line between turns:

    YOU: What news?

    MODEL: The king is dead.

    YOU: Long live the king!

    MODEL:
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from textwright.errors import RequestError
from textwright.generation.options import Prompt
from textwright.tokenizers import Role, Tokenizer, check_role, turn_text

BETWEEN = "\n\n"
"""What ends a turn of plain text."""

IMPROVISED = "this model learned from plain text, not from conversations, and improvises a dialogue"

_REPLY_SHARE = 4
"""A quarter of the context is kept free for the reply."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True)
class ChatPrompt(Prompt):
    """A conversation up to the words of the reply; `Generator.continue_from` takes it as it is.

    The reply begins with white space: `trimmed` takes that away.
    """

    dropped: int = 0
    """Turns, the oldest first, that were left out because the context is full."""


@dataclass(frozen=True)
class Names:
    """What the two are called where a model of plain text improvises, e.g. ROMEO and JULIET."""

    user: str = "YOU"
    model: str = "MODEL"

    def __post_init__(self) -> None:
        """Raises `RequestError`: a name is empty or of several lines, or both are the same."""
        names = (self.user, self.model)
        odd = any(not name.strip() or "\n" in name for name in names)
        if odd or self.user.strip() == self.model.strip():
            raise RequestError("the two who talk need names, of one line and not the same")


def encode_messages(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    *,
    block_size: int | None,
    names: Names,
    reply: Role = "assistant",
    strict: bool = False,
) -> ChatPrompt:
    """The prompt for the model's reply to `messages`; see `Generator.encode_messages`."""
    for message in messages:
        check_role(message.role)
    form = _Format(tokenizer, names, check_role(reply), strict)
    room = None if block_size is None else block_size - block_size // _REPLY_SHARE
    system = [form.turn(one) for one in messages if one.role == "system"]
    spoken = [one for one in messages if one.role != "system"]
    if room is not None:
        room -= len(form.begin) + len(form.end) + sum(len(turn.tokens) for turn in system)
    turns = _newest(form, spoken, room)
    warnings = [] if tokenizer.chat else [IMPROVISED]
    if room is not None and room < 0:
        warnings.append("the system message is longer than the model's context has room for")
    elif room is not None and turns and len(turns[0].tokens) > room:
        warnings.append("the last message is longer than the model's context: it reads the end")
    turns = [*system, *turns]
    for turn in turns:
        warnings += turn.warnings
    return ChatPrompt(
        form.begin_text + "".join(turn.text for turn in turns) + form.end_text,
        [*form.begin, *(token for turn in turns for token in turn.tokens), *form.end],
        list(dict.fromkeys(warnings)),
        stop=form.stops,
        is_chat=tokenizer.chat is not None,
        dropped=len(messages) - len(turns),
    )


class Trim:
    """Takes the white space at the beginning and the end of a reply away, as it is written."""

    def __init__(self) -> None:
        self._begun = False
        self._white = ""

    def push(self, piece: str) -> str:
        """What shows of the reply with one more piece."""
        fresh = piece if self._begun else piece.lstrip()
        self._begun = self._begun or bool(fresh)
        text = self._white + fresh
        kept = text.rstrip()
        self._white = text[len(kept) :]
        return kept


def trimmed(pieces: Iterable[str]) -> Iterator[str]:
    """A reply as it streams, without the white space at its beginning and end."""
    trim = Trim()
    for piece in pieces:
        if kept := trim.push(piece):
            yield kept


class _Format:
    """Encodes turns one by one; what they give, joined, is the whole conversation's."""

    def __init__(self, tokenizer: Tokenizer, names: Names, reply: Role, strict: bool) -> None:
        self._tokenizer, self._names, self._strict = tokenizer, names, strict
        chat = tokenizer.chat
        if chat:
            self.begin, self.end = [chat.bos_id], [chat.role_ids[reply]]
            self.begin_text, self.end_text = map(tokenizer.token_text, (*self.begin, *self.end))
            self.stops: tuple[str, ...] = ()
        else:
            self.end_text = f"{BETWEEN}{self._name(reply)}:"
            self.begin, self.begin_text = [], ""
            self.end = tokenizer.encode_prompt(self.end_text)[0]
            self.stops = (BETWEEN, *self._cues("user" if reply == "assistant" else "assistant"))

    def turn(self, message: Message) -> Prompt:
        """One turn, whole.

        Raises:
            TokenizerError: `strict`, and it has characters that the model never saw.
        """
        chat = self._tokenizer.chat
        if chat is None:
            text = BETWEEN + self._line(message)
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

    def _cues(self, other: Role) -> list[str]:
        """Where the other's turn begins; also as the tokenizer writes it, e.g. in lower case."""
        cue = f"\n{self._name(other)}:"
        own = self._tokenizer.decode(self._tokenizer.encode_prompt(cue)[0])
        return [cue, own] if own.strip(" \n:") and own != cue else [cue]


def _newest(form: _Format, spoken: Sequence[Message], room: int | None) -> list[Prompt]:
    """The turns at the end that fit into `room` tokens, the last one in any case.

    Where some are left out, the first that stays is the user's, as in what the model learned.
    """
    turns: list[Prompt] = []
    first = len(spoken)
    for message in reversed(spoken):
        turn = form.turn(message)
        if room is not None:
            room -= len(turn.tokens)
            if room < 0 and turns:
                break
        turns.insert(0, turn)
        first -= 1
    while 0 < first < len(spoken) - 1 and spoken[first].role != "user":
        turns.pop(0)
        first += 1
    return turns
