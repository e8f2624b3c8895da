"""Four books for the same few minutes: `textwright train BOOK` beside nanoGPT's recipe.

The other half of `benchmarks/training.py`, which says how it is called.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

from nanogpt import BLOCK_SIZE, NanoGPT
from ours import Textwright, split_text
from processes import report, spread
from textwright.runs import Run

BOOKS = (
    "pride-and-prejudice",
    "frankenstein",
    "sherlock-holmes",
    "$TEXTWRIGHT_CORPORA/multilingual/tang-poems-zh.txt",
)


def one_book(source: str, choice: argparse.Namespace, folder: Path, seed: int) -> dict[str, Any]:
    """textwright for so many minutes on one text, then nanoGPT for as much CPU time."""
    train, validation = split_text(source)
    name = Path(source).stem
    theirs = NanoGPT(choice.nanogpt, folder / "nanogpt", choice.threads)
    left_out = theirs.put(train, validation)
    ours = Textwright(train + validation, folder, choice.threads)
    done = ours.train(f"--minutes {choice.minutes * choice.stretch:g} --seed {seed}")
    report(f"{name}, seed {seed}: {done['steps']} steps in {done['cpu_seconds']:.0f} s of CPU time")
    iterations = theirs.iterations_in(done["cpu_seconds"], choice.calibration_iters)
    peer = theirs.train(iterations, seed=seed)
    own = ours.score(done["run"])
    at_64 = ours.score(done["run"], "--window", str(BLOCK_SIZE))
    family = Run(Path(done["run"])).config().family
    theirs_bits = peer.loss / math.log(2)
    book = {
        "book": name,
        "seed": seed,
        "left_out_characters": left_out,
        "model": f"{family} {done['size']}",
        "parameters": done["parameters"],
        "steps": done["steps"],
        "wall_seconds": done["wall_seconds"],
        "cpu_seconds": done["cpu_seconds"],
        "bits_own": own["bits_per_char"],
        "bits_at_64": at_64["bits_per_char"],
        "protocol": own["protocol"],
        "nanogpt_bits": theirs_bits,
        "bits_better": theirs_bits - own["bits_per_char"],
        "bits_better_at_64": theirs_bits - at_64["bits_per_char"],
        "nanogpt": asdict(peer),
    }
    report(
        f"{name}, seed {seed}: {book['bits_own']:.4f} bits own, {book['bits_at_64']:.4f} at 64, "
        f"nanoGPT {theirs_bits:.4f}"
    )
    return book


def books(choice: argparse.Namespace, folder: Path) -> dict[str, Any]:
    results = []
    for source in choice.texts:
        for seed in choice.seeds:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                results.append(one_book(source, choice, Path(place), seed))
    if not choice.json:
        print(
            f"{'':22} {'seed':>4} {'model':12} {'params':>9} {'steps':>6} {'CPU s':>6} "
            f"{'nanoGPT':>7} {'iters':>6} {'own':>7} {'at 64':>7} {'nanoGPT':>7} {'better':>7} "
            f"{'at 64':>7}"
        )
        for book in results:
            print(
                f"{book['book']:22} {book['seed']:4} {book['model']:12} {book['parameters']:9,} "
                f"{book['steps']:6,} {book['cpu_seconds']:6.0f} "
                f"{book['nanogpt']['cpu_seconds']:7.0f} {book['nanogpt']['iterations']:6,} "
                f"{book['bits_own']:7.4f} {book['bits_at_64']:7.4f} {book['nanogpt_bits']:7.4f} "
                f"{book['bits_better']:7.4f} {book['bits_better_at_64']:7.4f}"
            )
        for source in dict.fromkeys(book["book"] for book in results):
            own = [book["bits_better"] for book in results if book["book"] == source]
            at_64 = [book["bits_better_at_64"] for book in results if book["book"] == source]
            print(f"{source}: {spread(own, 3)} bits better, {spread(at_64, 3)} at 64")
    return {
        "minutes": choice.minutes,
        "threads": choice.threads,
        "stretch": choice.stretch,
        "bits_better": {
            name: mean(book["bits_better"] for book in results if book["book"] == name)
            for name in dict.fromkeys(book["book"] for book in results)
        },
        "books": results,
    }
