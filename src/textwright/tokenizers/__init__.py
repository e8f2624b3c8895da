"""Text to token ids and back: characters, words, byte pairs.

Whatever the kind, a tokenizer is a `tokenizer.json` of the `tokenizers` library, and gives the
ids which that library gives. `train_tokenizer` makes one from a text, `grow_tokenizer` adds what
another text needs; `Tokenizer.save` and `Tokenizer.load` put it into a run folder and read it from
there.
"""

from textwright.tokenizers.growing import grow_tokenizer, read_before
from textwright.tokenizers.streaming import TextStream
from textwright.tokenizers.tokenizer import Kind, Tokenizer
from textwright.tokenizers.training import WordForm, train_tokenizer

__all__ = [
    "Kind",
    "TextStream",
    "Tokenizer",
    "WordForm",
    "grow_tokenizer",
    "read_before",
    "train_tokenizer",
]
