"""Text to token ids and back: characters, words, byte pairs.

Whatever the kind, a tokenizer is a `tokenizer.json` of the `tokenizers` library, and gives the
ids which that library gives. `train_tokenizer` makes one from a text, `grow_tokenizer` adds what
another text needs; `Tokenizer.save` and `Tokenizer.load` put it into a run folder and read it from
there.
"""

from textwright.tokenizers.chat import ROLES, Role, check_role, turn_text
from textwright.tokenizers.growing import grow_tokenizer, read_before
from textwright.tokenizers.streaming import TextStream
from textwright.tokenizers.tokenizer import Kind, Tokenizer
from textwright.tokenizers.training import WordForm, train_tokenizer

__all__ = [
    "ROLES",
    "Kind",
    "Role",
    "TextStream",
    "Tokenizer",
    "WordForm",
    "check_role",
    "grow_tokenizer",
    "read_before",
    "train_tokenizer",
    "turn_text",
]
