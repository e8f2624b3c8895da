"""What token ids don't tell of a text, in bits, so that a loss a character flatters no tokenizer.

`<unk>` stands for any word, a character that the vocabulary lacks is left out, lower-casing takes
capitals away: what a model needs no bits for, because its tokenizer hid it, is charged here as the
length of a code that tells it.

- *Unknown words* are spelled by a character model with Witten-Bell smoothing (Witten and Bell, "The
  Zero-Frequency Problem", 1991) of the words in the vocabulary. Unknown words are rare ones, so
  each word of the vocabulary counts once.
- *Left-out characters* are named by their block of Unicode and their place in it, and their
  positions enumerated.
- *Capitals* are encoded letter by letter by an adaptive code (Krichevsky and Trofimov, "The
  Performance of Universal Encoding", 1981) that knows the two characters before.

Each is a code that could be decoded, so the charge is never too low. All of it follows from the
text and the tokenizer alone: a model folder needs no training text to be judged.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

_ORDER = 3
"""Characters before one that its probability depends on, at most."""
_MOST_WORDS = 50_000
"""Words that the character model is made of; more hardly change it."""
_END = ""
"""Ends a word."""
_BLOCK = 256
_CODE_POINTS = 0x110000
_ELSEWHERE = 1 / 16
"""Probability of a character outside of the blocks that the vocabulary has characters of."""
_ENDS_SENTENCE = frozenset(".!?:…")


class SpellingModel:
    """A character model of words: the bits it takes to spell one that the vocabulary lacks."""

    def __init__(self, words: Iterable[str], characters: Iterable[str] = ()) -> None:
        """Of distinct `words`, and of `characters` whose blocks are likely."""
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        blocks: Counter[int] = Counter(ord(one) // _BLOCK for one in set(characters))
        for word, _ in zip(words, range(_MOST_WORDS), strict=False):
            for at, character in enumerate([*word, _END]):
                for start in range(max(0, at - _ORDER), at + 1):
                    self._counts[word[start:at]][character] += 1
        blocks.update(ord(one) // _BLOCK for one in self._counts[""] if one != _END)
        total = blocks.total() or 1
        self._blocks = {block: count / total for block, count in blocks.items()}

    def word_bits(self, word: str) -> float:
        """The bits of a word and of its end."""
        bits = 0.0
        for at, character in enumerate([*word, _END]):
            bits -= math.log2(self._probability(character, word[max(0, at - _ORDER) : at]))
        return bits

    def character_bits(self, character: str) -> float:
        """The bits of a character that occurs in no word."""
        return -math.log2(self._base(character))

    def _probability(self, character: str, context: str) -> float:
        probability = self._base(character)
        for start in range(len(context), -1, -1):
            seen = self._counts.get(context[start:])
            if seen is None:
                break
            distinct, total = len(seen), seen.total()
            probability = (seen[character] + distinct * probability) / (total + distinct)
        return probability

    def _base(self, character: str) -> float:
        if character == _END:
            return 1 / _BLOCK
        code = ord(character)
        inside = self._blocks.get(code // _BLOCK, 0.0) * (1 - _ELSEWHERE) / _BLOCK
        return (1 - 1 / _BLOCK) * (inside + _ELSEWHERE / _CODE_POINTS)


class Capitals:
    """The bits that tell which letters of a text are capitals, where a tokenizer lower-cases."""

    def __init__(self) -> None:
        self._counts = np.zeros(2 * 36, np.int64)  # (two kinds before, capital or not)
        self._before = (3, 3)  # as at the start of a line
        self._kinds: dict[str, int] = {}

    def add(self, text: str) -> None:
        """Count the letters of the next piece of the text."""
        if not text:
            return
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
        distinct, places = np.unique(codes, return_inverse=True)
        kinds = np.array([_kind(chr(code)) for code in distinct.tolist()])[places]
        kinds = np.concatenate((self._before, kinds))
        letters = np.flatnonzero(kinds[2:] >= 4)  # those with case
        contexts = 6 * kinds[letters] + kinds[letters + 1]
        cases = 2 * contexts + (kinds[letters + 2] == 5)
        self._counts += np.bincount(cases, minlength=len(self._counts))
        self._before = (int(kinds[-2]), int(kinds[-1]))

    def bits(self) -> float:
        """Of all that was counted, by the code of Krichevsky and Trofimov."""
        counts = self._counts.reshape(-1, 2).tolist()
        return sum(_adaptive_bits(small, large) for small, large in counts if small or large)


def _kind(character: str) -> int:
    """0: other, 1: ends a sentence, 2: white space, 3: line end, 4: small letter, 5: capital."""
    if character == "\n":
        return 3
    if character.isspace():
        return 2
    if character.lower() != character:
        return 5
    if character.upper() != character:
        return 4
    return 1 if character in _ENDS_SENTENCE else 0


def _adaptive_bits(one: int, other: int) -> float:
    """The bits of an adaptive code for a sequence of two kinds, so many of each."""
    lgamma, half = math.lgamma, 0.5
    nats = lgamma(one + other + 1) - lgamma(one + half) - lgamma(other + half) + math.log(math.pi)
    return nats / math.log(2)


def positions_bits(marked: int, others: int) -> float:
    """The bits that tell which `marked` of `marked + others` places are meant, and how many."""
    if not marked:
        return 0.0
    count = marked + others
    nats = math.lgamma(count + 1) - math.lgamma(marked + 1) - math.lgamma(others + 1)
    return nats / math.log(2) + math.log2(count + 1)
