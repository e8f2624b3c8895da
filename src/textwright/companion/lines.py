"""Where a text ends its lines: terms for the logit of a line's end, by how long the line is.

In a text of lines of about the same length, as books are wrapped, the length says best where the
next line begins, and neither a network of half a megabyte nor n-grams count that far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from textwright.arrays import Floats
from textwright.companion.counting import Doubles, Ids

COLUMNS = 128
"""Lengths that are told apart: each shorter one, and all from here on."""


@dataclass(frozen=True)
class Lines:
    """What a line's length says of its end."""

    newline: int
    """The token that ends a line."""
    terms: Floats
    """What is added to its logit after so many tokens of a line, (columns,); the last one after so
    many or more."""


def lengths(tokens: Ids, newline: int) -> Ids:
    """How many tokens of its line there are after each token, (n,); the text begins a line."""
    places = np.arange(len(tokens))
    ends = np.where(tokens == newline, places, -1)
    found: Ids = places - np.maximum.accumulate(ends)
    return found


def log_odds(tokens: Ids, starts: Ids, newline: int) -> Doubles:
    """Of a line's end after so many tokens of it, as a text has it, (COLUMNS,).

    Args:
        tokens, starts: as those of an `NGramModel`; the lines that starts cut count as they are.
        newline: the token that ends a line.
    """
    before = np.append(0, np.minimum(lengths(tokens, newline), COLUMNS - 1)[:-1])
    before[starts] = 0
    ended = np.bincount(before, weights=tokens == newline, minlength=COLUMNS)
    went_on = np.bincount(before, minlength=COLUMNS) - ended
    odds: Doubles = np.log((ended + 0.5) / (went_on + 0.5))
    return odds
