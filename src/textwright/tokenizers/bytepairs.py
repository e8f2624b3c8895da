"""`bpe`: byte pairs merged by frequency; reads any text and gives it back exactly.

Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units" (2016), over bytes
as in GPT-2, and with GPT-2's splitting, which every reader of `tokenizer.json` knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

BYTES = 256

_MAX_TOKEN_LENGTH = 32
"""Bytes of a token, at most: no rule of dashes or line of a refrain becomes one."""


def train(
    texts: Iterable[str], *, vocab_size: int, lowercase: bool, specials: Sequence[str] = ()
) -> tokenizers.Tokenizer:
    """Merge the most frequent pairs of `texts` until there are `vocab_size` tokens.

    The first of them are `specials`, which no text has.

    Fewer where the text has no pair left that occurs twice. Each of `texts` should be small, so
    that memory is for the distinct words alone.
    """
    backend = tokenizers.Tokenizer(models.BPE())
    if lowercase:
        backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=_MAX_TOKEN_LENGTH,
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return backend


def token_bytes(token: str) -> bytes:
    """The bytes that `token` stands for; GPT-2 writes each byte as a printable character."""
    return bytes(_BYTE_OF[character] for character in token)


def token_string(data: bytes) -> str:
    """How a token of these bytes is written: the other way round."""
    return "".join(_CHARACTER_OF[byte] for byte in data)


def _byte_alphabet() -> dict[str, int]:
    # Printable Latin-1 stands for itself, the others are U+0100 and up in order
    shown = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), 256)}
    hidden = [byte for byte in range(BYTES) if byte not in shown]
    return {
        **{chr(byte): byte for byte in shown},
        **{chr(BYTES + i): byte for i, byte in enumerate(hidden)},
    }


_BYTE_OF = _byte_alphabet()
_CHARACTER_OF = {byte: character for character, byte in _BYTE_OF.items()}
