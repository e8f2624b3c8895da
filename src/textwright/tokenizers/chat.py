"""How a conversation is written as tokens: one format, for learning and for talking.

    <bos><system> words<eos><user> words<eos><assistant> words<eos>

A token says whose turn it is, and `<eos>` ends the turn. A space stands before the words, so that
a word is the same token where a turn begins and inside of it. White space at the ends of a turn is
left out. Words that spell a special token are words: a space goes into them (`< eos>`), here and
in the template alike, so that no reader of `tokenizer_config.json` takes them for the token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast, get_args

from textwright.errors import RequestError
from textwright.tokenizers.words import BOS, EOS, PAD, UNK

Role: TypeAlias = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = get_args(Role)

ROLE_TOKENS: dict[Role, str] = {role: f"<{role}>" for role in ROLES}
SPECIALS = (PAD, BOS, EOS, UNK, *ROLE_TOKENS.values())
"""In the order of their ids. `bpe` and `char`, which know no unknown word, do without `<unk>`."""


def specials(kind: str) -> list[str]:
    """The special tokens of a conversation tokenizer of this kind."""
    return [token for token in SPECIALS if kind == "word" or token != UNK]


def turn_text(content: str) -> str:
    """What is tokenized of a turn, between the token of its role and `<eos>`."""
    content = content.strip()
    if "<" in content:
        for token in SPECIALS:
            content = content.replace(token, f"< {token[1:]}")
    return f" {content}"


def chat_template() -> str:
    """The same as a `transformers` chat template (Jinja)."""
    words = "message['content'] | trim"
    for token in SPECIALS:
        words += f" | replace('{token}', '< {token[1:]}')"
    names = ", ".join(f"'{role}': '{token}'" for role, token in ROLE_TOKENS.items())
    return (
        f"{{%- set tokens = {{{names}}} -%}}"
        f"{{{{- '{BOS}' -}}}}"
        "{%- for message in messages -%}"
        "{%- if message['role'] not in tokens -%}"
        "{{- raise_exception('a message is of system, user or assistant') -}}"
        "{%- endif -%}"
        f"{{{{- tokens[message['role']] + ' ' + ({words}) + '{EOS}' -}}}}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}"
        f"{{{{- '{ROLE_TOKENS['assistant']}' -}}}}"
        "{%- endif -%}"
    )


def marked(file: str, kind: str) -> str:
    """The text of a `tokenizer.json` with the special tokens in it, each by the id it has.

    What the vocabulary lacks is added to its end.
    """
    data: dict[str, Any] = json.loads(file)
    vocabulary: dict[str, int] = data["model"]["vocab"]
    for token in specials(kind):
        vocabulary.setdefault(token, len(vocabulary))
    others = [one for one in data.get("added_tokens") or [] if one["content"] not in SPECIALS]
    own = [
        {
            "id": vocabulary[token],
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for token in specials(kind)
    ]
    if steps := (data.get("normalizer") or {}).get("normalizers"):
        data["normalizer"]["normalizers"] = [*map(_within_a_turn, steps), *_apart(data)]
    data["added_tokens"] = sorted([*others, *own], key=lambda one: cast(int, one["id"]))
    return json.dumps(data, ensure_ascii=False, indent=2)


def _within_a_turn(step: dict[str, Any]) -> dict[str, Any]:
    """A step of a normalizer. In the `whitespace` form a line end is `<eos>`, but ends no turn."""
    ends = step.get("type") == "Replace" and step.get("content") == f" {EOS} "
    return {**step, "content": " "} if ends else step


def _apart(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Steps that keep words which spell a special token out of the `whitespace` form, where they
    would be looked up whole, also once letters were replaced by those that the model knows."""
    if (data.get("pre_tokenizer") or {}).get("type") != "WhitespaceSplit":
        return []
    return [
        {
            "type": "Replace",
            "pattern": {"Regex": rf"(?<!\S){token}(?!\S)"},
            "content": f"{token[:-1]} >",
        }
        for token in SPECIALS
        if token != UNK  # the benchmark's own
    ]


class ChatFormat:
    """The ids of the tokens that frame a conversation, and what they make of one.

    Attributes:
        bos_id, eos_id: begin the conversation, end each turn.
        role_ids: begin the turns.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        """Read the ids from a vocabulary that has all of them."""
        self.bos_id, self.eos_id = vocabulary[BOS], vocabulary[EOS]
        self.role_ids: dict[Role, int] = {
            role: vocabulary[token] for role, token in ROLE_TOKENS.items()
        }

    @classmethod
    def of(cls, data: Mapping[str, Any], vocabulary: Mapping[str, int]) -> ChatFormat | None:
        """The format of what a `tokenizer.json` holds; None where it is of running text."""
        added = {one["content"] for one in data.get("added_tokens") or [] if one.get("special")}
        return cls(vocabulary) if added.issuperset((BOS, EOS, *ROLE_TOKENS.values())) else None

    def framed(self, turns: Sequence[tuple[Role, Sequence[int]]]) -> list[int]:
        """A conversation: roles, and the ids of the words that `turn_text` gave."""
        ids = [self.bos_id]
        for role, words in turns:
            ids += (self.role_ids[role], *words, self.eos_id)
        return ids


def check_role(role: str) -> Role:
    """`role`, if it is one. Raises `RequestError` where it isn't."""
    if role not in ROLES:
        raise RequestError(f"no role {role!r} in a conversation; there are {', '.join(ROLES)}")
    return role
