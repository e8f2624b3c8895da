"""A tokenizer's vocabulary in the byte-level form of GPT-2, which llama.cpp calls `gpt2`.

Tokens are strings with a printable character for each byte, and merges make tokens of bytes. A
character tokenizer has this form too: the bytes of each character merge into one token, and since
the first byte of a character in UTF-8 is never a later one, no merge spans two characters. The
intermediate strings of such merges need no entry: readers merge strings, and look up the result.
So each entry is a token of the model, and unknown characters are dropped, as here.
"""

from __future__ import annotations

import json

from textwright.errors import RequestError
from textwright.tokenizers import Tokenizer
from textwright.tokenizers.bytepairs import token_string

Merges = list[tuple[str, str]]


_INERT = ("ÿ", "ÿ")
"""A merge that no text has, for readers that need one: UTF-8 never has the byte 255."""


def byte_level(tokenizer: Tokenizer) -> tuple[list[str], Merges]:
    """The tokens in order of id, and the merges in order of priority.

    Raises:
        RequestError: it is a word tokenizer, which has no such form.
    """
    if tokenizer.kind == "word":
        raise RequestError(
            "a word tokenizer can't be written as GGUF, whose readers split text into bytes; "
            "train with --tokenizer char or bpe"
        )
    data = json.loads(tokenizer.backend.to_str())
    by_id = {token: text for text, token in tokenizer.backend.get_vocab().items()}
    texts = [by_id[token] for token in range(tokenizer.vocab_size)]
    if tokenizer.kind == "bpe":
        pairs = (m.split(" ") if isinstance(m, str) else m for m in data["model"]["merges"])
        return texts, [(left, right) for left, right in pairs] or [_INERT]
    special = {entry["content"] for entry in data.get("added_tokens") or []}
    strings: list[str] = []
    merges: Merges = []
    for text in texts:
        if text in special:
            strings.append(text)
            continue
        string = token_string(text.encode("utf-8"))
        strings.append(string)
        for end in range(1, len(string)):
            merges.append((string[:end], string[end]))
    return strings, list(dict.fromkeys(merges)) or [_INERT]
