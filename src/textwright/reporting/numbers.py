"""Formatting of numbers for report, card and tables: 1,003,854; 0.82 M; 2 min 05 s."""

from __future__ import annotations

NONE = "–"
"""For an unknown number."""


def whole(value: float | None) -> str:
    """A count in full: `1,003,854`."""
    return NONE if value is None else f"{round(value):,}"


def short(value: float | None) -> str:
    """A count in three digits: `820`, `10.7 k`, `0.82 M`, `1.36 G`."""
    if value is None:
        return NONE
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size * (0.1 if unit == "M" else 1):  # 820 k reads better as 0.82 M
            scaled = value / size
            digits = 0 if scaled >= 100 else 1 if scaled >= 10 else 2
            return f"{scaled:.{digits}f} {unit}"
    return f"{value:,.0f}"


def loss(value: float | None) -> str:
    """A loss or bits a character, to four places."""
    return NONE if value is None else f"{value:.4f}"


def perplexity(value: float | None) -> str:
    """A perplexity in three or four digits."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if value >= 1000 else f"{value:.{1 if value >= 100 else 2}f}"


def share(value: float | None) -> str:
    """A share as a percentage: `6.2 %`, `under 0.1 %`."""
    if value is None:
        return NONE
    return "under 0.1 %" if 0 < value < 0.0005 else f"{100 * value:.1f} %"


def duration(seconds: float | None) -> str:
    """A time: `48 s`, `2 min 05 s`, `1 h 12 min`."""
    if seconds is None:
        return NONE
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total // 3600:,} h {total % 3600 // 60:02d} min"


def size(count: float | None) -> str:
    """A number of bytes: `512 B`, `1.1 MB` (of 1,000,000 bytes)."""
    if count is None:
        return NONE
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count:,.0f} B"


def small(value: float | None) -> str:
    """A rate such as a learning rate: `0.003`, `2e-05`."""
    return NONE if value is None else f"{value:.3g}"
