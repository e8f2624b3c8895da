"""Which size and which dropout a text and a time ask for: the study behind the dials.

    TEXTWRIGHT_CORPORA=DIR python benchmarks/scaling.py OUT.jsonl [--only SUBSTRING] [--minutes 1 5]
    python benchmarks/scaling.py OUT.jsonl --table
    python benchmarks/scaling.py OUT.jsonl --plot docs/scaling.svg

Every cell is `textwright train` on one thread with one size of `lstm`, one dropout and as many
steps as fit into so many minutes of CPU time, by the speed of a step measured before; its result is
the validation loss of what the run kept, in bits a character, and the CPU time it took. A result is
a line of OUT.jsonl; what stands there is not run again. Texts are cut to their first characters.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ours import Textwright, split_text
from processes import report
from textwright.configs import TrainingSettings
from textwright.runs import Run
from textwright.training.loop.learner import Learner
from textwright.training.planning.presets import model_settings, preset

TEXTS = {
    "100 thousand": ("shakespeare", 100_000),
    "1 million": ("shakespeare", None),
    "10 million": ("wikitext-2", None),
}
"""Name → corpus and the characters of it that are kept."""

SIZES = ("nano", "micro", "small")
FAMILY = "lstm"

GRID: dict[tuple[str, float], dict[str, tuple[float, ...]]] = {
    ("100 thousand", 1): {"nano": (0.2, 0.4, 0.6)},
    ("1 million", 1): {"nano": (0,), "micro": (0,)},
    ("100 thousand", 5): {"nano": (0.4, 0.6)},
    ("1 million", 5): {"nano": (0, 0.1, 0.2), "micro": (0,)},
    ("10 million", 5): {"nano": (0,), "micro": (0,)},
    ("1 million", 20): {"nano": (0.2, 0.3), "micro": (0.1, 0.2)},
    ("10 million", 20): {"nano": (0,), "micro": (0,)},
}
"""Text and minutes → size → the dropouts to try."""

LEARNING_SHARE = 0.9
"""Of the time; the rest goes into evaluations."""
LOOKS = 10
READ_AT_MOST = 50_000
"""Validation tokens an evaluation on the way reads; what was kept is measured on all of them."""


@dataclass(frozen=True)
class Cell:
    """One training of the grid."""

    text: str
    minutes: float
    size: str
    dropout: float

    def __str__(self) -> str:
        return f"{self.text}, {self.minutes:g} min, {self.size}, dropout {self.dropout:g}"


def cells() -> list[Cell]:
    """The cheapest first."""
    grid = [
        Cell(text, minutes, size, dropout)
        for (text, minutes), sizes in GRID.items()
        for size, dropouts in sizes.items()
        for dropout in dropouts
    ]
    return sorted(grid, key=lambda cell: cell.minutes)


def beginning(source: str, characters: int | None) -> str:
    """The first characters of a corpus."""
    return "".join(split_text(source))[:characters]


def result_of(cell: Cell) -> dict[str, Any]:
    """Train it."""
    text = beginning(*TEXTS[cell.text])
    seconds = step_seconds(cell.size, cell.dropout, len(set(text)) + 1)
    steps = max(LOOKS, int(60 * cell.minutes * LEARNING_SHARE / seconds))
    return trained(text, cell.size, cell.dropout, steps)


def step_seconds(size: str, dropout: float, vocab_size: int) -> float:
    """CPU seconds of a step."""
    config = model_settings(FAMILY, size, vocab_size, {"dropout": dropout})
    settings = TrainingSettings(**preset(FAMILY, size).training)
    tokens = np.random.default_rng(0).integers(0, vocab_size, 200_000).astype(np.uint16)
    learner = Learner(config, settings, tokens, [(0, 10_000)])
    times = []
    for number in range(12):
        begin = time.process_time()
        learner.step(number)
        times.append(time.process_time() - begin)
    return sorted(times[2:])[5]


def trained(text: str, size: str, dropout: float, steps: int) -> dict[str, Any]:
    """A training of so many steps, everything else as the size has it."""
    options = f"--model {FAMILY} --size {size} --steps {steps} --set model.dropout={dropout}"
    options += f" --eval-every {-(-steps // LOOKS)} --set training.eval_tokens={READ_AT_MOST}"
    return outcome(text, options)


def outcome(text: str, options: str) -> dict[str, Any]:
    """What is kept of a training."""
    with tempfile.TemporaryDirectory() as folder:
        ours = Textwright(text, Path(folder), threads=1)
        done = ours.train(options)
        run = Run(Path(done["run"]))
        losses = [record["val_bits_per_char"] for record in run.metrics()]
        return {
            "size": done["size"],
            "dropout": run.config().dropout,
            "parameters": done["parameters"],
            "steps": done["steps"],
            "epochs": round(done["epochs"], 2),
            "bits": round(ours.score(done["run"])["bits_per_char"], 4),
            "last_bits": round(losses[-1], 4),
            "cpu_seconds": round(done["cpu_seconds"], 1),
        }


def table(results: list[dict[str, Any]]) -> None:
    """The results as a table in Markdown, the best of each text and time in bold."""
    print("| characters | minutes | size | parameters | dropout | epochs | bits a character |")
    print("| ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for text in TEXTS:
        for minutes in sorted({r["minutes"] for r in results if r["text"] == text}):
            rows = [r for r in results if (r["text"], r["minutes"]) == (text, minutes)]
            best = min(r["bits"] for r in rows)
            for r in sorted(rows, key=lambda r: (r["parameters"], r["dropout"])):
                bits = f"**{r['bits']:.3f}**" if r["bits"] == best else f"{r['bits']:.3f}"
                print(
                    f"| {text} | {minutes:g} | `{r['size']}` | {r['parameters']:,} "
                    f"| {r['dropout']:g} | {r['epochs']:.1f} | {bits} |"
                )


def plot(results: list[dict[str, Any]], file: Path) -> None:
    """A panel a text: bits a character over the time, a line a size with its best dropout."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "textwright"
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(TEXTS), figsize=(11, 3.6), layout="constrained")
    for panel, text in zip(panels, TEXTS, strict=True):
        for number, size in enumerate(SIZES):
            best: dict[float, float] = {}
            for r in results:
                if (r["text"], r["size"]) == (text, size):
                    best[r["minutes"]] = min(r["bits"], best.get(r["minutes"], 99.0))
            if best:
                times = sorted(best)
                panel.plot(
                    times, [best[m] for m in times], marker="o", color=f"C{number}", label=size
                )
        panel.set(title=f"{text} characters", xscale="log", xlabel="minutes of one thread")
        panel.set_xticks([1, 5, 20], ["1", "5", "20"])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7, frameon=False)
    panels[0].set_ylabel("bits a character")
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("results", type=Path, help="a .jsonl that results are added to")
    parser.add_argument("--only", default="", help="cells whose name has this in it")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 5.0, 20.0])
    parser.add_argument("--table", action="store_true", help="print what is there")
    parser.add_argument("--plot", type=Path, help="draw what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    file = arguments.results
    results = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    if arguments.table:
        table(results)
    elif arguments.plot:
        plot(results, arguments.plot)
    else:
        there = {Cell(**{name: r[name] for name in Cell.__dataclass_fields__}) for r in results}
        for cell in cells():
            if cell in there or arguments.only not in str(cell):
                continue
            if cell.minutes in arguments.minutes:
                result = {**asdict(cell), **result_of(cell)}
                report(f"{cell}: {result['bits']} bits, {result['cpu_seconds']} s")
                with file.open("a") as out:
                    out.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
