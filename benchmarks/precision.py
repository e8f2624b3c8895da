"""What int8 costs: the loss of models that come with the package, in each precision.

    python benchmarks/precision.py [--characters 100000] [NAME=TEXT ...]

TEXT is a file or the name of a corpus; its last tenth of characters counts, which the models that
come with the package were not trained on where the corpus is theirs. Nats a token, and what int8
adds to float32.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from ours import Textwright, split_text

PAIRS = ["shakespeare=shakespeare", "pride-and-prejudice=pride-and-prejudice"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("pairs", nargs="*", default=PAIRS, metavar="NAME=TEXT")
    parser.add_argument("--characters", type=int, default=100_000, help="of each text, at most")
    options = parser.parse_args()
    for pair in options.pairs:
        name, _, text = pair.partition("=")
        with tempfile.TemporaryDirectory() as place:
            held_out = split_text(text)[1][: options.characters]
            score = Textwright(held_out, Path(place), threads=1).score
            file = str(Path(place, "text.txt"))
            losses = {
                kind: score(name, file, "--precision", kind)["loss"]
                for kind in ("float32", "float16", "int8")
            }
        told = ", ".join(f"{kind} {loss:.5f}" for kind, loss in losses.items())
        print(f"{name}: {told}; int8 adds {losses['int8'] - losses['float32']:+.5f}", flush=True)


if __name__ == "__main__":
    main()
