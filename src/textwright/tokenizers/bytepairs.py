"""`bpe`: byte-level byte-pair encoding, lossless for any text.

Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units" (2016), over bytes
and with the pre-tokenization of GPT-2, which every reader of `tokenizer.json` knows.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Iterable, Sequence

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

BYTES = 256

_MAX_PIECE = 256
"""Bytes of a run without a break (DNA, base64, Thai) that pairs are counted in at once: each merge
reads the whole of a piece, so that time would grow with the square of its length."""

_MAX_TOKEN_LENGTH = 32
"""Bytes of a token, at most, so that no line of dashes or of a refrain becomes one."""


def train(
    texts: Iterable[str], *, vocab_size: int, lowercase: bool, specials: Sequence[str] = ()
) -> tokenizers.Tokenizer:
    """Merge the most frequent pairs of `texts` until there are `vocab_size` tokens, or no pair that
    occurs twice. `specials` get the first ids.

    Each of `texts` should be small, so that memory holds only the distinct words.
    """
    backend = tokenizers.Tokenizer(models.BPE())
    if lowercase:
        backend.normalizer = normalizers.Lowercase()
    splitting = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bounded = pre_tokenizers.Split(Regex(f".{{1,{_MAX_PIECE}}}"), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([splitting, bounded])
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=_MAX_TOKEN_LENGTH,
        show_progress=False,
    )
    _interruptibly(lambda: backend.train_from_iterator(texts, trainer))
    backend.pre_tokenizer = splitting  # encoding takes a run of any length, and as GPT-2 does
    return backend


def _interruptibly(call: Callable[[], None]) -> None:
    """Do what takes long without listening to Ctrl-C in a thread, which ends with the process."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="textwright-merges", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
    if errors:
        raise errors[0]


def token_bytes(token: str) -> bytes:
    """The bytes of a token string, in which GPT-2 writes each byte as a printable character."""
    return bytes(map(_alphabet()[1].__getitem__, token))


def token_string(data: bytes) -> str:
    """The token string of `data`: the inverse of `token_bytes`."""
    return "".join(map(_alphabet()[0].__getitem__, data))


@functools.cache
def _alphabet() -> tuple[list[str], dict[str, int]]:
    """The character of each byte, and the byte of each character."""
    # Printable Latin-1 maps to itself, the other bytes to U+0100 and up in order
    plain = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), 256)}
    others = itertools.count(BYTES)
    characters = [chr(byte if byte in plain else next(others)) for byte in range(BYTES)]
    return characters, {character: byte for byte, character in enumerate(characters)}
