"""The card of a model that is exported or pushed: its commands name the place where it is then."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from textwright import atomic
from textwright.reporting import RunSummary, card_text
from textwright.runs import Run

_LOAD = re.compile(r"""tw\.load\((['"])(?P<place>.+?)\1\)""")
_PATH = re.compile(r"(?:from textwright import runs\n)?\npath = .+\n")


def write_card(run: Run, folder: Path, place: str) -> None:
    """Write the card of `run` into `folder`.

    Args:
        place: where the model will be, as `tw.load` takes it: `hf:owner/name`, or `./folder`.
    """
    card = folder / run.card_file.name
    if run.settings_file.is_file() or not run.card_file.is_file():
        atomic.write_text(card, card_text(RunSummary.read(run), name=place))
    else:  # of a model that came without its run, the card is all that is known
        atomic.write_text(card, moved(run.card_file.read_text(encoding="utf-8"), place))


def moved(card: str, place: str) -> str:
    """A card's text with `place` for the place that its commands name."""
    found = _LOAD.search(card)
    if found is None:
        return card
    old = re.escape(shlex.quote(found["place"]))
    command = re.compile(rf"(textwright (?:generate|chat)) {old}(?=[\s`])")
    card = card.replace(found[0], f"tw.load({place!r})")
    card = _PATH.sub(lambda _: f"\npath = {place.removeprefix('hf:')!r}\n", card)
    return command.sub(lambda match: f"{match[1]} {shlex.quote(place)}", card)
