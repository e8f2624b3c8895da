"""`word`: the most frequent words and punctuation marks, in two forms.

`text`, for any corpus: a word carries the space before it, so that decoding gives back spacing
and capitals. `whitespace`, the form of the WikiText benchmarks (Merity et al., "Pointer Sentinel
Mixture Models", 2016): whatever stands between white space is a word, and a line end is `<eos>`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

from textwright.tokenizers.characters import normalizer
from textwright.tokenizers.splitting import split_chunks

PAD, BOS, EOS, UNK = "<pad>", "<bos>", "<eos>", "<unk>"

TEXT_SPECIALS = (PAD, BOS, EOS, UNK)
WHITESPACE_SPECIALS = (UNK, EOS)

_NO_SPACES = (
    "\u0e00-\u0fff"  # Thai, Lao, Tibetan
    "\u1000-\u109f"  # Burmese
    "\u1780-\u17ff"  # Khmer
    "\u2e80-\u30ff\u31f0-\u31ff"  # radicals, CJK marks, kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
"""Scripts that put no spaces between words, as the inside of a character class: there, every
letter with its marks is a token. Written as characters, which all regex engines read alike."""

_WORD = rf"(?:(?![{_NO_SPACES}])\p{{L}}\p{{M}}*)+"

PATTERN = "|".join(
    (
        rf" ?{_WORD}(?:['’]{_WORD})*",
        r" ?\p{L}\p{M}*",
        r" ?\p{N}\p{M}*",  # digits are tokens of their own, so that no number is unknown
        r" ?[^\s\p{L}\p{N}]\p{M}*",
        r"\s",
    )
)
"""What a token of the `text` form is. Every character belongs to one, so nothing gets lost."""

_CHUNKS_AT_ONCE = 1 << 17
"""Distinct chunks that are counted before their words are."""

_LITERAL_EOS = r"(?<!\S)<eos>(?!\S)"


def text_pipeline(vocabulary: dict[str, int], *, lowercase: bool) -> tokenizers.Tokenizer:
    """The library's tokenizer of the `text` form.

    The special tokens are ordinary entries of the vocabulary that no text can reach, for the
    pattern takes `<eos>` apart. `<unk>` decodes with a space before it, the others to nothing.
    """
    backend = tokenizers.Tokenizer(models.WordLevel(vocab=vocabulary, unk_token=UNK))
    backend.normalizer = normalizer(lowercase)
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    silent = Regex(f"^(?:{PAD}|{BOS}|{EOS})$")
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace(silent, ""),
            decoders.Replace(Regex(f"^{UNK}$"), f" {UNK}"),
            decoders.Fuse(),
        ]
    )
    return backend


def whitespace_pipeline(vocabulary: dict[str, int], *, lowercase: bool) -> tokenizers.Tokenizer:
    """The library's tokenizer of the `whitespace` form.

    Decodes to the benchmark's own layout: a space before each word, ` \\n` for `<eos>`. `<unk>`
    in the text is the benchmark's own and becomes the id of `<unk>`; `<eos>` is data.
    """
    backend = tokenizers.Tokenizer(models.WordLevel(vocab=vocabulary, unk_token=UNK))
    backend.normalizer = normalizers.Sequence(
        [
            normalizer(lowercase),
            normalizers.Replace(Regex(_LITERAL_EOS), "<eos >"),
            normalizers.Replace("\n", f" {EOS} "),
        ]
    )
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace(Regex(f"^{EOS}$"), "\n"),
            decoders.Replace(Regex("^"), " "),
            decoders.Fuse(),
        ]
    )
    return backend


def most_frequent(backend: tokenizers.Tokenizer, texts: Iterable[str]) -> list[str]:
    """Every word of `texts` as `backend` splits them, the most frequent first.

    Words that are equally frequent come in order of code point. Memory is for the distinct words
    alone; each of `texts` should be small.
    """
    words: Counter[str] = Counter()
    chunks: Counter[str] = Counter()
    for text in texts:
        chunks.update(split_chunks(text))
        if len(chunks) > _CHUNKS_AT_ONCE:
            _add_words(backend, chunks, words)
            chunks.clear()
    _add_words(backend, chunks, words)
    return sorted(words, key=lambda word: (-words[word], word))


def _add_words(backend: tokenizers.Tokenizer, chunks: Counter[str], words: Counter[str]) -> None:
    for chunk, count in chunks.items():
        normalized = backend.normalizer.normalize_str(chunk)
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(normalized):
            words[word] += count
