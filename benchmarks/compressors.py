"""What compressors and counting make of the last tenth of a book, after the first nine.

    pip install pyppmd
    python benchmarks/compressors.py [--paq8px PROGRAM] [BOOK …]

One JSON object a predictor and book: bits a character of the text that textwright validates on. An
adaptive one learns each character once it has predicted it: what it takes for the whole book, less
what it takes for the first nine tenths. PPMd is that of the package pyppmd; PAQ8px, a program that
is built elsewhere (github.com/hxim/paq8px), takes minutes a book. Kneser-Ney is textwright's own,
static, of the first nine tenths alone. Shipped models and runs: `textwright eval`.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from textwright.companion.counting import NGramModel
from textwright.data import open_corpus, prepare_tokens
from textwright.tokenizers import train_tokenizer

BOOKS = ("frankenstein", "sherlock-holmes", "pride-and-prejudice", "shakespeare")
PPMD_ORDERS = (4, 5, 6, 8, 12)
KNESER_NEY_ORDERS = (6, 9, 12)
MEMORY = 1 << 28
"""Bytes that PPMd may take: it never runs out on a book."""


def ppmd(order: int) -> Callable[[bytes], int]:
    """How many bytes PPMd (variant H, as in 7-Zip) makes of a text."""
    import pyppmd

    def size(data: bytes) -> int:
        encoder = pyppmd.Ppmd7Encoder(order, MEMORY)
        return len(encoder.encode(data)) + len(encoder.flush())

    return size


def xz(data: bytes) -> int:
    """How many bytes xz -9e makes of a text."""
    return len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def paq8px(program: Path, level: str) -> Callable[[bytes], int]:
    """How many bytes PAQ8px makes of a text."""

    def size(data: bytes) -> int:
        with tempfile.TemporaryDirectory() as folder:
            text, packed = Path(folder, "text.txt"), Path(folder, "packed")
            text.write_bytes(data)
            command = [str(program.resolve()), level, str(text), str(packed)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
            return sum(file.stat().st_size for file in Path(folder).iterdir() if file != text)

    return size


def predictors(program: Path | None) -> Iterator[tuple[str, Callable[[bytes], int]]]:
    """The adaptive ones, by name."""
    yield "xz -9e", xz
    for order in PPMD_ORDERS:
        yield f"PPMd, order {order}", ppmd(order)
    if program is not None:
        yield "PAQ8px -8", paq8px(program, "-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("books", nargs="*", default=BOOKS, help="built-in corpora, or files")
    parser.add_argument("--paq8px", type=Path, help="the program")
    options = parser.parse_args()
    for book in options.books:
        corpus = open_corpus([book])
        train, held_out = corpus.train.read(), corpus.validation.read()

        def show(name: str, static: bool, bits: float, seconds: float, book: str = book) -> None:
            each = {"book": book, "predictor": name, "static": static, "bits_per_char": bits}
            print(json.dumps({**each, "cpu_s": seconds}), flush=True)

        for name, size in predictors(options.paq8px):
            before = _cpu_seconds()
            bits = 8 * (size((train + held_out).encode()) - size(train.encode()))
            show(name, False, bits / len(held_out), _cpu_seconds() - before)
        tokenizer = train_tokenizer("char", corpus.train.chunks)
        ids = [
            prepare_tokens(part, tokenizer).array() for part in (corpus.train, corpus.validation)
        ]
        train_ids, ids_after = (one.astype(np.int64) for one in ids)
        for order in KNESER_NEY_ORDERS:
            before = _cpu_seconds()
            model = NGramModel(train_ids, np.zeros(1, np.int64), tokenizer.vocab_size, order)
            logs = model.log_probabilities(ids_after, np.zeros(1, np.int64))
            bits = -float(logs[1:].mean()) / math.log(2)
            name = f"modified Kneser-Ney, {order - 1} characters of context"
            show(name, True, bits, _cpu_seconds() - before)


def _cpu_seconds() -> float:
    """Of this process and of those that it waited for."""
    import resource

    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
