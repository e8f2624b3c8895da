"""What a model that exists is worth on a short text: trained from scratch, and from that model.

    TEXTWRIGHT_CORPORA=DIR python benchmarks/continuing.py [--parent RUN] [--minutes M | --steps N]
        [--seeds 1 2 3] [--jobs N] [--threads N] [--scratch OPTIONS] [--continued OPTIONS]

The texts are the first 50,000 characters of two books, Project Gutenberg's header taken off; the
last tenth of each is the validation text. A training is a process of its own: `textwright train`
with everything left to the plan, and the same with `--from RUN`. Losses are bits a character over
the whole validation text, those of the kept weights. The table goes to standard output.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from recipe import Outcome, train
from textwright import runs
from textwright.data import open_corpus

BOOKS = ("pride-and-prejudice", "frankenstein")
CHARACTERS = 50_000

Task = tuple[str, str, int]
"""Book, way to begin, seed."""


def beginning(book: str, folder: Path) -> Path:
    """A file of the first characters of `book`."""
    text = ""
    for chunk in open_corpus([book]).train.chunks():
        text += chunk
        if len(text) >= CHARACTERS:
            break
    file = folder / f"{book}.txt"
    file.write_text(text[:CHARACTERS], encoding="utf-8")
    return file


def summary(outcomes: dict[Task, Outcome], ways: list[str]) -> Iterator[str]:
    """The mean over the seeds of each book and way."""
    for book in BOOKS:
        for way in ways:
            found = [one for (of, by, _), one in outcomes.items() if (of, by) == (book, way)]
            bits = statistics.fmean(one.val_bits_per_char for one in found)
            seconds = statistics.fmean(one.cpu_seconds for one in found)
            yield f"{book:20} {way:14} {'mean':>4} {'':>9} {bits:8.4f} {seconds:6.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--parent", default="shakespeare", help="the run to begin with")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, default=1.0, help="of each training")
    budget.add_argument("--steps", type=int, help="of each training, in place of minutes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    parser.add_argument("--threads", type=int, default=1, help="of each training")
    parser.add_argument("--scratch", default="", help="more options of those from scratch")
    parser.add_argument("--continued", default="", help="more options of the others")
    arguments = parser.parse_args()
    parent = arguments.parent
    if not parent.startswith("hf:"):  # each training has a folder of runs of its own
        parent = str(runs.find(parent).path.absolute())
    time = f"--steps {arguments.steps}" if arguments.steps else f"--minutes {arguments.minutes}"
    ways = {
        "from scratch": f"{time} {arguments.scratch}",
        "--from": f"{time} --from {shlex.quote(parent)} {arguments.continued}",
    }
    print(f"{'text':20} {'way':14} {'seed':>4} {'params':>9} {'bits/chr':>8} {'CPU s':>6}")
    outcomes: dict[Task, Outcome] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = {book: beginning(book, Path(folder)) for book in BOOKS}

        def one(task: Task) -> None:
            book, way, seed = task
            outcome = train(ways[way], seed, arguments.threads, str(files[book]))
            outcomes[task] = outcome
            print(
                f"{book:20} {way:14} {seed:4} {outcome.parameters:9,} "
                f"{outcome.val_bits_per_char:8.4f} {outcome.cpu_seconds:6.1f}",
                flush=True,
            )

        tasks = [(book, way, seed) for book in BOOKS for way in ways for seed in arguments.seeds]
        with ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(one, tasks))
    if len(arguments.seeds) > 1:
        print("\n".join(summary(outcomes, list(ways))))


if __name__ == "__main__":
    main()
