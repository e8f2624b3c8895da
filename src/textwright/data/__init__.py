"""Where text comes from: any source of it becomes one normalised UTF-8 text, then token ids."""

from textwright.corpora.agreeing import LEAST
from textwright.corpora.builtin import BUILT_INS, BuiltIn
from textwright.corpora.cache import cache_folder
from textwright.corpora.conversations import Conversation
from textwright.corpora.copying import Copies, Stretch, copied
from textwright.corpora.corpus import Corpus, Source, open_corpus, open_text
from textwright.corpora.talks import ConversationPart
from textwright.corpora.text import TextPart
from textwright.corpora.tokens import LossOn, TokenFile, Tokens, prepare_tokens

__all__ = [
    "BUILT_INS",
    "LEAST",
    "BuiltIn",
    "Conversation",
    "ConversationPart",
    "Copies",
    "Corpus",
    "LossOn",
    "Source",
    "Stretch",
    "TextPart",
    "TokenFile",
    "Tokens",
    "cache_folder",
    "copied",
    "open_corpus",
    "open_text",
    "prepare_tokens",
]
