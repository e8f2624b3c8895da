"""How fast a large text is prepared, beside nanoGPT's `data/shakespeare_char/prepare.py`.

    python benchmarks/preparation.py --megabytes 1000 --nanogpt PATH/TO/nanoGPT [--json]

Both get the same ASCII file and turn it into a vocabulary of characters, training ids and
validation ids in uint16. Each runs as a process of its own, from an empty cache; CPU time, wall
time and peak resident memory are the operating system's figures for that process. textwright's
figure is the whole of it: hashing, decoding, normalising, splitting, tokenizer, both id files on
the disk. The two results are compared: the same number of ids in both parts.

nanoGPT's script imports `requests`, which must be importable. It holds the text as one Python
list: expect 12 times the size of the text as memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

from processes import run

WHOLE = """
import json, logging, sys
from pathlib import Path
from textwright.data import open_corpus
from textwright.data import prepare_tokens
from textwright.tokenizers import train_tokenizer
cache = Path(sys.argv[2])
corpus = open_corpus([sys.argv[1]], cache=cache)
tokenizer = train_tokenizer(sys.argv[3], corpus.train.chunks)
parts = [prepare_tokens(part, tokenizer, cache) for part in (corpus.train, corpus.validation)]
print(json.dumps({"tokens": [part.tokens for part in parts], "vocabulary": tokenizer.vocab_size}))
"""


def make_text(path: Path, size: int, seed: int, sources: list[Path]) -> None:
    """`size` bytes of ASCII: the sources' text again and again, one character in 200 changed."""
    from pydoc_data.topics import topics

    texts = [source.read_text(encoding="utf-8") for source in sources] or list(topics.values())
    text = "\n".join(texts).encode("ascii", "ignore")
    draw = random.Random(seed)
    letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,\n"
    with path.open("wb") as file:
        left = size
        while left > 0:
            piece = bytearray(text)
            for place in draw.choices(range(len(piece)), k=len(piece) // 200):
                piece[place] = draw.choice(letters)
            file.write(piece[:left])
            left -= len(piece)


def measure(command: list[str], folder: Path, environment: dict[str, str]) -> dict[str, object]:
    """Run a process to its end: what it printed, and what it cost."""
    finished = run(command, folder=folder, environment=environment)
    return {
        "cpu_seconds": round(finished.cpu_seconds, 2),
        "wall_seconds": round(finished.wall_seconds, 2),
        "peak_mb": finished.peak_mb,
        "output": finished.output,
    }


def run_textwright(text: Path, folder: Path, kind: str) -> dict[str, object]:
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", WHOLE, str(text), str(folder / "cache"), kind]
    result = measure(command, folder, environment)
    result |= json.loads(str(result.pop("output")))
    return result


def run_nanogpt(text: Path, folder: Path, checkout: Path) -> dict[str, object]:
    script = folder / "prepare.py"
    shutil.copy(checkout / "data" / "shakespeare_char" / "prepare.py", script)
    os.link(text, folder / "input.txt")  # it reads the file beside itself
    result = measure([sys.executable, str(script)], folder, {})
    del result["output"]
    sizes = [(folder / name).stat().st_size // 2 for name in ("train.bin", "val.bin")]
    return result | {"tokens": sizes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--sources", type=Path, nargs="*", default=[], help="texts to repeat")
    parser.add_argument("--tokenizer", default="char", choices=("char", "word", "bpe"))
    parser.add_argument("--nanogpt", type=Path, help="a checkout, to run its script beside")
    parser.add_argument("--repeat", type=int, default=1, help="times, in turn; the best counts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to work; needs 10 times the text")
    parser.add_argument("--json", action="store_true")
    choice = parser.parse_args()

    results: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory(dir=choice.folder) as name:
        root = Path(name)
        text = root / "text.txt"
        make_text(text, int(choice.megabytes * 1e6), choice.seed, choice.sources)
        for turn in range(choice.repeat):
            runs = {"textwright": lambda folder: run_textwright(text, folder, choice.tokenizer)}
            if choice.nanogpt:
                runs["nanoGPT"] = lambda folder: run_nanogpt(text, folder, choice.nanogpt)
            for who, run in runs.items():
                folder = root / f"{who}-{turn}"
                folder.mkdir()
                result = run(folder)
                shutil.rmtree(folder)
                if who not in results or result["cpu_seconds"] < results[who]["cpu_seconds"]:
                    results[who] = result
    ours, theirs = results["textwright"], results.get("nanoGPT")
    if theirs and choice.tokenizer == "char" and theirs["tokens"] != ours["tokens"]:
        raise SystemExit(f"the results differ: {ours['tokens']} and {theirs['tokens']} ids")
    if choice.json:
        print(json.dumps({"megabytes": choice.megabytes, "results": results}))
        return
    print(f"{'':12} {'CPU s':>8} {'wall s':>8} {'MB/s CPU':>9} {'peak MB':>8}")
    for who, result in results.items():
        speed = choice.megabytes / float(str(result["cpu_seconds"]))
        print(
            f"{who:12} {result['cpu_seconds']:>8} {result['wall_seconds']:>8} "
            f"{speed:>9.1f} {result['peak_mb']:>8}"
        )
    if theirs:
        ratio = [
            float(str(theirs[figure])) / float(str(ours[figure]))
            for figure in ("cpu_seconds", "wall_seconds", "peak_mb")
        ]
        print("nanoGPT ÷ textwright: CPU {:.1f}, wall {:.1f}, memory {:.1f}".format(*ratio))


if __name__ == "__main__":
    main()
