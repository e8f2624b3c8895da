"""What held-out text has in common with the text it was held out of, and how long finding it takes.

    python benchmarks/copying.py [CORPUS ...] [--minimum N ...] [--megabytes N]

Prints the rows of docs/training.md, "Copied or invented?". With --megabytes, instead: the time that
a passage of 10,000 characters takes against so much text, which is words drawn at random.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from textwright.data import TextPart, open_corpus
from textwright.evaluation import find_copied_spans
from textwright.evaluation.memorization import sample_passages

CORPORA = ["shakespeare", "frankenstein", "pride-and-prejudice", "sherlock-holmes", "wikitext-2",
           "self-dialogue", "python-docs"]  # fmt: skip


def row(name: str, minimums: list[int]) -> str:
    corpus = open_corpus([name])
    pieces = sample_passages(corpus.validation, 1000)
    cells, longest = [], 0
    for minimum in minimums:
        found, _ = find_copied_spans(pieces, corpus.train, minimum=minimum, origins=corpus.origins)
        share = sum(one.copied for one in found) / sum(one.characters for one in found)
        cells.append(f"{share:.1%}")
        lengths = [stretch.length for one in found for stretch in one.stretches]
        longest = max([longest, *lengths])
    return f"| {name} | {' | '.join(cells)} | {longest:,} |"


def timed(megabytes: int) -> str:
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghij", k=rng.randrange(2, 9))) for _ in range(20_000)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "text"
        block = ""
        with file.open("w") as out:
            for _ in range(megabytes):
                block = " ".join(rng.choices(words, k=200_000))[: 1 << 20]
                out.write(block)
        size = file.stat().st_size
        passage = block[1000:6000] + " ".join(rng.choices(words, k=1200))[:5000]
        begun, cpu = time.perf_counter(), time.process_time()
        (found,), _ = find_copied_spans([passage], TextPart(file, 0, size, size), minimum=40)
        took, cpu = time.perf_counter() - begun, time.process_time() - cpu
    return f"{size / 1e6:,.0f} MB: {took:.2f} s, {cpu:.2f} s of CPU; copied {found.share:.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("corpus", nargs="*", default=CORPORA)
    parser.add_argument("--minimum", type=int, nargs="+", default=[24, 32, 40])
    parser.add_argument("--megabytes", type=int)
    asked = parser.parse_args()
    if asked.megabytes:
        print(timed(asked.megabytes))
        return
    for name in asked.corpus:
        print(row(name, asked.minimum))


if __name__ == "__main__":
    main()
