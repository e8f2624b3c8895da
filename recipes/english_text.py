"""The text that `english` is trained on: `python recipes/english_text.py FOLDER`.

From `$TEXTWRIGHT_CORPORA`: 85 novels (`novels/`), the sentences of WikiText-2 that have no `<unk>`,
and turns of the Self-dialogue Corpus. Whoever goes on from the model has curly quotes or straight
ones, a line for a paragraph or one of seventy characters, blank lines or none; the novels as they
lie have nearly all straight ones, and their dashes were lost. So each novel is read into
paragraphs, its dashes are set again, and it is written in one of the ways that people's texts are.

The corpus of the yardsticks (*Frankenstein*, *Pride and Prejudice*, *The Adventures of Sherlock
Holmes*, Tiny Shakespeare) is no part of it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import textwrap
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LETTERS = "ÀÂÄÆÇÈÉÊËÎÏÔÖÙÛÜŒßàáâäæçèéêëíîïñóôöùúûüœ"
SIGNS = "£§°½–—‘’“”…"
KEPT = frozenset("\n" + "".join(map(chr, range(32, 127))) + LETTERS + SIGNS)
"""The vocabulary: what fits any English text. Other characters are left out."""

HELD_OUT = ("Gissing_Women_1893.txt", "Haggard_She_1887.txt", "Woolf_Lighthouse_1927.txt")
"""They stand last, in three ways of writing, so that the validation text is of whole books."""
WIKI_CHARACTERS, TURN_CHARACTERS = 6_000_000, 8_000_000
PIECE = 60_000
"""Articles and conversations stand between the novels in pieces of so many characters."""


@dataclass(frozen=True)
class Typography:
    """A way to write the same paragraphs."""

    curly: bool
    dash: str
    width: int
    """Of a line; 0: a line is a paragraph."""
    blank: bool
    """A blank line between paragraphs."""


WAYS = (
    Typography(curly=True, dash="—", width=72, blank=True),
    Typography(curly=True, dash="—", width=0, blank=True),
    Typography(curly=False, dash="--", width=72, blank=True),
    Typography(curly=True, dash="—", width=70, blank=True),
    Typography(curly=True, dash=" – ", width=0, blank=False),
    Typography(curly=True, dash="—", width=74, blank=True),
    Typography(curly=False, dash="—", width=0, blank=True),
)


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a novel, a line each, whichever way it is laid out."""
    lines = [line.strip() for line in text.split("\n")]
    filled = sorted(len(line) for line in lines if line)
    width = filled[int(len(filled) * 0.9)]
    if width > 120:  # a line is a paragraph
        yield from (line for line in lines if line)
        return
    paragraph: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line:
            paragraph.append(line)
        ended = re.search(r"[.?!:\"'][\"']?$", line) and following[:1].upper() == following[:1]
        if paragraph and (not following or (ended and len(line) < 0.8 * width) or line.isupper()):
            yield " ".join(paragraph)
            paragraph = []


def dashes_set(paragraph: str) -> str:
    """With an em dash where the novels have ` - `, `--` or, where it was lost, two spaces."""
    paragraph = re.sub(r"(n't|\w's|\w'll)  +", r"\1 ", paragraph)
    paragraph = re.sub(r" +([,.;:?!])", r"\1", paragraph)
    paragraph = re.sub(r"(?<=[.?!\"']) {2,}(?=[A-Z\"'])", " ", paragraph)
    paragraph = re.sub(r" *-{2,} *| - ?|(?<=[a-z,;])  +(?=[a-z])", "—", paragraph)
    return re.sub(r"\s+", " ", paragraph).strip()


def quotes_curled(paragraph: str) -> str:
    """With typographic quotes: one that follows a space, a dash or nothing opens."""
    paragraph = re.sub(r"(^|[\s—(\[‘'])\"(?=\S)", r"\1“", paragraph).replace('"', "”")
    short = r"(?=(?:tis|twas|twere|twould|em|til|bout|cause)\b|\d\d)"
    paragraph = re.sub(rf"(^|[\s—(\[“])'{short}", r"\1’", paragraph, flags=re.IGNORECASE)
    return re.sub(r"(^|[\s—(\[“])'(?=\S)", r"\1‘", paragraph).replace("'", "’")


def written(text: str, way: Typography) -> str:
    """A novel in a way of writing."""
    made = []
    for read in paragraphs(text):
        paragraph = dashes_set(read)
        if way.curly:
            paragraph = quotes_curled(paragraph)
        paragraph = paragraph.replace("—", way.dash)
        made.append(textwrap.fill(paragraph, way.width) if way.width else paragraph)
    return ("\n\n" if way.blank else "\n").join(made) + "\n\n\n"


def kept(text: str) -> str:
    """Without what is not in the vocabulary: accents it lacks fall off their letters."""
    if not KEPT.issuperset(text):
        text = "".join(
            letter if letter in KEPT else unicodedata.normalize("NFKD", letter) for letter in text
        )
    return "".join(letter for letter in text if letter in KEPT)


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a packed file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from file


def articles(corpora: Path) -> str:
    """Sentences of WikiText-2 as people write them, headings and what is unknown left out."""
    lines = []
    for line in lines_of(corpora / "wikitext-2/train.txt.gz"):
        sentences = [one for one in line.strip().split(" . ") if "<unk>" not in one]
        if line.startswith(" =") or len(sentences) < 2:
            continue
        whole = ". ".join(one.removesuffix(" .") for one in sentences) + "."
        whole = re.sub(r" @(.)@ ", r"\1", whole)
        whole = re.sub(r" ([,.;:?!)%]|'s\b|n't\b|'\w+\b)", r"\1", whole)
        whole = re.sub(r"([($£]) ", r"\1", whole)
        whole = re.sub(r'" ([^"]*?) "', r'"\1"', whole)
        lines.append(whole)
    return kept("\n\n".join(lines))[:WIKI_CHARACTERS]


def turns(corpora: Path) -> str:
    """Conversations, a turn a line, a blank line between two of them."""
    made, size = [], 0
    for line in lines_of(corpora / "conversations/self-dialogue/train.jsonl.gz"):
        record = json.loads(line)
        said = [one["text"] for one in record["turns"]]
        made.append("\n".join(said) + "\n\n")
        size += len(made[-1])
        if size > TURN_CHARACTERS:
            break
    return kept("".join(made))


def text_of(corpora: Path) -> Iterator[str]:
    """All of it, piece by piece: novels in a drawn order, the others spread between them."""
    shuffled = random.Random(1)
    names = sorted(path.name for path in (corpora / "novels").glob("*.txt"))
    training = [name for name in names if name not in HELD_OUT]
    shuffled.shuffle(training)
    others = []
    for source in (articles(corpora), turns(corpora)):
        others += [source[at : at + PIECE] + "\n\n" for at in range(0, len(source), PIECE)]
    shuffled.shuffle(others)
    share = -(-len(others) // len(training))
    for place, name in enumerate([*training, *HELD_OUT]):
        novel = (corpora / "novels" / name).read_text(encoding="utf-8").removeprefix("\ufeff")
        yield kept(written(novel, WAYS[place % len(WAYS)]))
        if place < len(training):
            yield from others[place * share : (place + 1) * share]


def main() -> None:
    """Write `english.txt` into the folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    corpora = os.environ.get("TEXTWRIGHT_CORPORA")
    if not corpora:
        raise SystemExit("error: TEXTWRIGHT_CORPORA names no folder with novels/")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with (arguments.folder / "english.txt").open("w", encoding="utf-8") as file:
        for piece in text_of(Path(corpora)):
            file.write(piece)


if __name__ == "__main__":
    main()
