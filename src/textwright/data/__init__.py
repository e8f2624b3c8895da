"""A corpus: any source of text becomes one normalized UTF-8 file, split, then a file of token ids.

Begin with `corpus`: `open_corpus` takes files from `sources`, inspects them by `formats`, prepares
them in `text` or `prepared_conversations` and splits them into a `TextPart` or
`ConversationPart` each for training, validation and test; `tokens` makes token files of those.
Nothing here knows a model, a tokenizer's kind of vocabulary, or torch. Names are imported when
first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textwright.data.corpus import Corpus, Source, open_corpus, open_text
    from textwright.data.formats.conversations import Conversation
    from textwright.data.prepared_conversations import ConversationPart
    from textwright.data.sources.builtin import BUILT_INS, BuiltIn
    from textwright.data.sources.cache import cache_folder
    from textwright.data.text import TextPart
    from textwright.data.tokens import LossOn, TokenFile, Tokens, prepare_tokens

_HOMES = {
    "BUILT_INS": "textwright.data.sources.builtin",
    "BuiltIn": "textwright.data.sources.builtin",
    "Conversation": "textwright.data.formats.conversations",
    "ConversationPart": "textwright.data.prepared_conversations",
    "Corpus": "textwright.data.corpus",
    "LossOn": "textwright.data.tokens",
    "Source": "textwright.data.corpus",
    "TextPart": "textwright.data.text",
    "TokenFile": "textwright.data.tokens",
    "Tokens": "textwright.data.tokens",
    "cache_folder": "textwright.data.sources.cache",
    "open_corpus": "textwright.data.corpus",
    "open_text": "textwright.data.corpus",
    "prepare_tokens": "textwright.data.tokens",
}

__all__ = [
    "BUILT_INS",
    "BuiltIn",
    "Conversation",
    "ConversationPart",
    "Corpus",
    "LossOn",
    "Source",
    "TextPart",
    "TokenFile",
    "Tokens",
    "cache_folder",
    "open_corpus",
    "open_text",
    "prepare_tokens",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
