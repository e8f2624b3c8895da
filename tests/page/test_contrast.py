"""Colours of the page: text can be read on what it stands on, light and dark (WCAG 2.2, 1.4.3)."""

from __future__ import annotations

import itertools
import re

import pytest

from textwright.page import WEB

CSS = (WEB / "style.css").read_text(encoding="utf-8")

TEXT = [
    *((ink, ground) for ink in ("ink", "quiet") for ground in ("ground", "panel", "soft")),
    *(("letter", f"s{step}") for step in range(1, 8)),  # tokens in the colour of their surprise
    ("onaccent", "accent"),  # the button that does it
    ("accent", "panel"), ("accent", "ground"), ("accent", "soft"),  # a chip, the chosen row
    ("bad", "ground"), ("bad", "panel"),  # what went wrong, Stop
    ("care", "panel"), ("care", "ground"),  # a warning
    ("good", "ground"), ("good", "panel"),
    ("letter", "seen 55 panel"),  # what is copied
    ("letter", "seen"), ("letter", "hot"), ("letter", "cold"),  # a head, a neuron at its most
]  # fmt: skip
"""What stands on what; `a 45 b` is 45 % of a mixed into b."""

MARKS = [("focus", "ground"), ("focus", "panel"), ("accent", "line")]
"""What shows where the keyboard is, and how far a slider or a training has come: 3 is enough."""


def colours(theme: str) -> dict[str, tuple[float, ...]]:
    """The variables of a theme, as linear red, green and blue."""
    start = {"light": ":root {", "dark": ':root[data-theme="dark"] {'}[theme]
    block = CSS[CSS.index(start) :]
    found = re.findall(r"--(\w+): #(\w{6});", block[: block.index("}")])
    return {
        name: tuple(int(hex_[at : at + 2], 16) / 255 for at in (0, 2, 4)) for name, hex_ in found
    }


def luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def named(words: str, theme: dict[str, tuple[float, ...]]) -> tuple[float, ...]:
    name, *mixed = words.split()
    if not mixed:
        return theme[name]
    share = int(mixed[0]) / 100
    pairs = zip(theme[name], theme[mixed[1]], strict=True)
    return tuple(share * a + (1 - share) * b for a, b in pairs)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read(theme: str) -> None:
    found = colours(theme)
    least = []
    for wanted, pairs in ((4.5, TEXT), (3.0, MARKS)):
        rows = {f"{a} on {b}": contrast(named(a, found), named(b, found)) for a, b in pairs}
        print(theme, *(f"{value:5.2f}  {name}" for name, value in rows.items()), sep="\n")
        least += [f"{name}: {value:.2f}" for name, value in rows.items() if value < wanted]
    assert not least


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_shade_of_surprise_differs_in_luminance(theme: str) -> None:
    """Also in greyscale and to those who see few colours: each step is as wide as the next."""
    found = colours(theme)
    values = [luminance(found[f"s{step}"]) + 0.05 for step in range(1, 8)]
    steps = [max(a, b) / min(a, b) for a, b in itertools.pairwise(values)]
    assert all(step >= 1.08 for step in steps), steps
    assert sorted(values, reverse=theme == "light") == values


def test_dark_is_dark_by_system_and_by_button() -> None:
    """Two blocks of the style sheet, which can't be one."""
    system = re.search(r':root:not\(\[data-theme="light"\]\) \{(.*?)\}', CSS, re.DOTALL)
    button = re.search(r':root\[data-theme="dark"\] \{(.*?)\}', CSS, re.DOTALL)
    assert system and button
    assert system[1].split() == button[1].split()
