"""The chat format: how a conversation is written as tokens, in training and in generation.

    <bos><system> words<eos><user> words<eos><assistant> words<eos>

A role token begins each turn, and `<eos>` ends it. A space precedes the words, so that a word is
the same token at the beginning of a turn and inside. Turns are stripped of white space. Words that
spell a special token are escaped with a space (`< eos>`), here and in the template alike, so that
no reader of `tokenizer_config.json` takes them for the token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast, get_args

from textwright.errors import RequestError
from textwright.tokenizers.words import BOS, EOS, PAD, UNK

Role: TypeAlias = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = get_args(Role)

ROLE_TOKENS: dict[Role, str] = {
    "system": "<system>",
    "user": "<user>",
    "assistant": "<assistant>",
}
SPECIALS = (PAD, BOS, EOS, UNK, *ROLE_TOKENS.values())
"""In the order of their ids; `<unk>` only for `word`."""


def specials(kind: str) -> list[str]:
    """The special tokens of a conversation tokenizer of this kind."""
    return [token for token in SPECIALS if kind == "word" or token != UNK]


def turn_text(content: str) -> str:
    """The text of a turn that is tokenized, between the role token and `<eos>`."""
    content = content.strip()
    if "<" in content:
        for token in SPECIALS:
            content = content.replace(token, f"< {token[1:]}")
    return f" {content}"


def chat_template() -> str:
    """The format as a `transformers` chat template (Jinja)."""
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


def add_special_tokens(file: str, kind: str) -> str:
    """The text of a `tokenizer.json` with the special tokens declared; those that the vocabulary
    lacks get new ids at its end."""
    data: dict[str, Any] = json.loads(file)
    vocabulary: dict[str, int] = data["model"]["vocab"]
    for token in specials(kind):
        vocabulary.setdefault(token, len(vocabulary))
    others = [one for one in data.get("added_tokens") or [] if one["content"] not in SPECIALS]
    added = [
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
        data["normalizer"]["normalizers"] = [*map(_line_end_as_space, steps), *_escape_steps(data)]
    data["added_tokens"] = sorted([*others, *added], key=lambda one: cast(int, one["id"]))
    return json.dumps(data, ensure_ascii=False, indent=2)


def _line_end_as_space(step: dict[str, Any]) -> dict[str, Any]:
    """A normalizer step, with spaces for line ends where it makes `<eos>` of them."""
    makes_eos = step.get("type") == "Replace" and step.get("content") == f" {EOS} "
    return {**step, "content": " "} if makes_eos else step


def _escape_steps(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Normalizer steps that escape words which spell a special token, for the `whitespace` form:
    there they would be looked up whole, also after letters were folded to known ones."""
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
    """The ids of the special tokens that format a conversation.

    Attributes:
        bos_id, eos_id: begin the conversation, end each turn.
        role_ids: begin the turns.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        """Of a vocabulary that has all of them."""
        self.bos_id, self.eos_id = vocabulary[BOS], vocabulary[EOS]
        self.role_ids: dict[Role, int] = {
            role: vocabulary[token] for role, token in ROLE_TOKENS.items()
        }


def check_role(role: str) -> Role:
    """`role` itself. Raises `RequestError` where there is no such role."""
    if role not in ROLES:
        raise RequestError(f"no role {role!r} in a conversation; there are {', '.join(ROLES)}")
    return role
