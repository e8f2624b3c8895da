"""Where text comes from: any source of it becomes one normalised UTF-8 text, then token ids."""

from textwright.corpora.builtin import BUILT_INS, BuiltIn
from textwright.corpora.cache import cache_folder
from textwright.corpora.corpus import Corpus, Source, open_corpus, open_text
from textwright.corpora.text import TextPart
from textwright.corpora.tokens import TokenFile, prepare_tokens

__all__ = [
    "BUILT_INS",
    "BuiltIn",
    "Corpus",
    "Source",
    "TextPart",
    "TokenFile",
    "cache_folder",
    "open_corpus",
    "open_text",
    "prepare_tokens",
]
