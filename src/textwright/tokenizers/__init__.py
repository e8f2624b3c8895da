"""Text to token ids and back: characters, words, byte pairs.

Begin with `tokenizer`: of every kind, a `Tokenizer` is a `tokenizer.json` of the `tokenizers`
library and encodes as that does, with faster paths (`characters`, `splitting`) to the same ids.
`training` makes one from a text, `extending` adds what another text needs; `prompts` reads what a
person typed, `chat` formats conversations. Nothing here knows a corpus or a model.
"""

from textwright.tokenizers.chat import ROLES, Role, check_role, turn_text
from textwright.tokenizers.extending import encode_new_tokens, extend_tokenizer
from textwright.tokenizers.tokenizer import Kind, TextStream, Tokenizer
from textwright.tokenizers.training import WordForm, train_tokenizer

__all__ = [
    "ROLES",
    "Kind",
    "Role",
    "TextStream",
    "Tokenizer",
    "WordForm",
    "check_role",
    "encode_new_tokens",
    "extend_tokenizer",
    "train_tokenizer",
    "turn_text",
]
