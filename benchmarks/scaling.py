"""Which size and which dropout a text and a time ask for: the study behind the dials.

    TEXTWRIGHT_CORPORA=DIR python benchmarks/scaling.py OUT.jsonl [--only SUBSTRING] [--minutes 1 5]
    python benchmarks/scaling.py OUT.jsonl --table
    python benchmarks/scaling.py OUT.jsonl --plot docs/scaling.svg

Every cell is `textwright train` on one thread with one shape, one dropout and as many steps as fit
into so many minutes of CPU time, by the speed of a step measured before; its result is the
validation loss of what the run kept, in bits a character, and the CPU time it took. A result is a
line of OUT.jsonl; what stands there is not run again. Texts are cut to their first characters.
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

from ours import Textwright
from processes import report
from textwright.configs import TrainingSettings
from textwright.corpora import open_corpus
from textwright.training.learner import Learner
from textwright.training.presets import model_settings, preset

TEXTS = {
    "100 thousand": ("shakespeare", 100_000),
    "1 million": ("shakespeare", None),
    "10 million": ("wikitext-2", None),
}
"""Name → corpus and the characters of it that are kept."""

SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm 1×128": ("lstm", {"num_layers": 1, "hidden_size": 128, "embedding_size": 64}),
    "lstm 1×256": ("lstm", {"num_layers": 1, "hidden_size": 256, "embedding_size": 64}),
    "lstm 2×256": ("lstm", {"num_layers": 2, "hidden_size": 256, "embedding_size": 64}),
    "lstm 1×512": ("lstm", {"num_layers": 1, "hidden_size": 512, "embedding_size": 128}),
    "lstm 2×512": ("lstm", {"num_layers": 2, "hidden_size": 512, "embedding_size": 128}),
    "lstm 2×1024": ("lstm", {"num_layers": 2, "hidden_size": 1024, "embedding_size": 256}),
}
"""Name → family and the settings of the model; the recipe is that of the family's `nano`."""

GRID: dict[tuple[str, float], dict[str, tuple[float, ...]]] = {
    ("1 million", 1): {"lstm 1×128": (0,), "lstm 1×256": (0,), "lstm 2×256": (0,)},
    ("10 million", 1): {"lstm 1×256": (0,), "lstm 2×256": (0,)},
    ("100 thousand", 1): {
        "lstm 1×128": (0.3,),
        "lstm 1×256": (0.2, 0.4, 0.6),
        "lstm 2×256": (0.4,),
    },
    ("1 million", 5): {
        "lstm 1×256": (0.1,),
        "lstm 2×256": (0, 0.1, 0.2),
        "lstm 1×512": (0, 0.1, 0.2),
        "lstm 2×512": (0, 0.1),
    },
    ("10 million", 5): {
        "lstm 2×256": (0,),
        "lstm 1×512": (0,),
        "lstm 2×512": (0,),
    },
    ("100 thousand", 5): {"lstm 1×256": (0.4, 0.6), "lstm 2×256": (0.4, 0.6), "lstm 1×512": (0.6,)},
    ("1 million", 20): {"lstm 2×256": (0.2,), "lstm 1×512": (0.2, 0.3), "lstm 2×512": (0.2, 0.3)},
    ("10 million", 20): {"lstm 1×512": (0,), "lstm 2×512": (0,), "lstm 2×1024": (0,)},
}
"""Text and minutes → shape → the dropouts to try."""

LEARNING_SHARE = 0.9
"""Of the time; the rest goes into evaluations."""
LOOKS = 10
READ_AT_MOST = 200_000
"""Validation tokens an evaluation reads."""


@dataclass(frozen=True)
class Cell:
    """One training of the grid."""

    text: str
    minutes: float
    shape: str
    dropout: float

    def __str__(self) -> str:
        return f"{self.text}, {self.minutes:g} min, {self.shape}, dropout {self.dropout:g}"


def cells() -> list[Cell]:
    return [
        Cell(text, minutes, shape, dropout)
        for (text, minutes), shapes in GRID.items()
        for shape, dropouts in shapes.items()
        for dropout in dropouts
    ]


def step_seconds(cell: Cell, vocab_size: int) -> tuple[float, int]:
    """CPU seconds of a step, and the tokens it reads."""
    family, model = SHAPES[cell.shape]
    config = model_settings(family, "nano", vocab_size, {**model, "dropout": cell.dropout})
    settings = TrainingSettings(**preset(family, "nano").training)
    tokens = np.random.default_rng(0).integers(0, vocab_size, 200_000).astype(np.uint16)
    learner = Learner(config, settings, tokens, steps=10_000)
    times = []
    for number in range(12):
        begin = time.process_time()
        learner.step(number)
        times.append(time.process_time() - begin)
    return sorted(times[2:])[5], settings.batch_size * config.block_size


def trained(cell: Cell) -> dict[str, Any]:
    """The result of a cell."""
    source, characters = TEXTS[cell.text]
    corpus = open_corpus([source])
    text = corpus.train.read() + corpus.validation.read()
    with tempfile.TemporaryDirectory() as folder:
        ours = Textwright(text[:characters], Path(folder), threads=1)
        vocab_size = len(set(text[:characters])) + 1
        seconds, per_step = step_seconds(cell, vocab_size)
        steps = max(10, int(60 * cell.minutes * LEARNING_SHARE / seconds))
        family, model = SHAPES[cell.shape]
        changes = {f"model.{name}": value for name, value in model.items()}
        changes["model.dropout"] = cell.dropout
        options = f"--model {family} --size nano --steps {steps} --eval-every {-(-steps // LOOKS)}"
        options += f" --set training.eval_tokens={READ_AT_MOST}"
        options += "".join(f" --set {name}={value}" for name, value in changes.items())
        done = ours.train(options)
        result = json.loads((Path(done["run"]) / "metrics.jsonl").read_text().splitlines()[-1])
        losses = [
            json.loads(line)["val_bits_per_char"]
            for line in (Path(done["run"]) / "metrics.jsonl").read_text().splitlines()
        ]
    return {
        **asdict(cell),
        "parameters": done["parameters"],
        "steps": steps,
        "epochs": round(done["epochs"], 2),
        "tokens": result["step"] * per_step,
        "bits": round(min(losses), 4),
        "last_bits": round(losses[-1], 4),
        "cpu_seconds": round(done["cpu_seconds"], 1),
    }


def table(results: list[dict[str, Any]]) -> None:
    """The results as a table in Markdown, the best of each text and time in bold."""
    print("| characters | minutes | model | parameters | dropout | epochs | bits a character |")
    print("| ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for text in TEXTS:
        for minutes in sorted({r["minutes"] for r in results if r["text"] == text}):
            rows = [r for r in results if (r["text"], r["minutes"]) == (text, minutes)]
            best = min(r["bits"] for r in rows)
            for r in sorted(rows, key=lambda r: (r["parameters"], r["dropout"])):
                bits = f"**{r['bits']:.3f}**" if r["bits"] == best else f"{r['bits']:.3f}"
                print(
                    f"| {text} | {minutes:g} | `{r['shape']}` | {r['parameters']:,} "
                    f"| {r['dropout']:g} | {r['epochs']:.1f} | {bits} |"
                )


def plot(results: list[dict[str, Any]], file: Path) -> None:
    """A panel a text: bits a character over the time, a line a shape with its best dropout."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "textwright"
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(TEXTS), figsize=(11, 3.6), layout="constrained")
    for panel, text in zip(panels, TEXTS, strict=True):
        for number, shape in enumerate(SHAPES):
            best: dict[float, float] = {}
            for r in results:
                if (r["text"], r["shape"]) == (text, shape):
                    best[r["minutes"]] = min(r["bits"], best.get(r["minutes"], 99.0))
            if best:
                times = sorted(best)
                panel.plot(
                    times, [best[m] for m in times], marker="o", color=f"C{number}", label=shape
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
                result = trained(cell)
                report(f"{cell}: {result['bits']} bits, {result['cpu_seconds']} s")
                with file.open("a") as out:
                    out.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
