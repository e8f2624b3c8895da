"""What n-grams of its own training text add to a model that comes with the package.

    python benchmarks/companion.py [MODEL …]

Bits a character of the second half of the held-out text, weights fitted on the first half: one JSON
object a model.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from textwright import runs
from textwright.data import open_corpus, prepare_tokens
from textwright.runs import Run
from textwright.tokenizers import Tokenizer
from textwright.training.companion import add_companion
from textwright.training.loop.dataset import Dataset

BOOKS = ("frankenstein", "sherlock-holmes", "pride-and-prejudice", "shakespeare")


def main() -> None:
    for name in sys.argv[1:] or BOOKS:
        with tempfile.TemporaryDirectory() as folder:
            run = Run(Path(shutil.copytree(runs.find(name).path, Path(folder, name))))
            corpus, tokenizer = open_corpus([name]), Tokenizer.load(run)
            parts = (
                prepare_tokens(one, tokenizer, hidden=True)
                for one in (corpus.train, corpus.validation)
            )
            dataset = Dataset(corpus, tokenizer, *parts)
            begin = time.process_time()
            gain = add_companion(run, dataset, "cpu")
            seconds = time.process_time() - begin
            size = run.companion_file.stat().st_size if gain else 0
        record = gain.record() if gain else None
        print(json.dumps({"model": name, "gain": record, "cpu_s": seconds, "bytes": size}))


if __name__ == "__main__":
    main()
