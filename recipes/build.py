"""Make the models that come with the package, each from its recipe: `make models`.

    python recipes/build.py [--only NAME] [--runs DIR] [--again]
    python recipes/build.py --table      make none; tell of those that are there

A recipe is a file of settings beside this script, and `textwright train --config` takes it as it
is. A run that is there already is not trained again, and one that was interrupted goes on. Then
the weights are rounded to float16, which halves them, and what the card and the report say is
measured on the rounded ones. The report goes to `docs/reports`, the model folder into the package.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import ModelCard
from safetensors.numpy import load_file, save_file

from textwright import atomic, evaluation, training
from textwright.cli.progress import progress
from textwright.configs import TrainingSettings
from textwright.data.training_corpus import open_training_corpus
from textwright.errors import RequestError, RunError, TextwrightError
from textwright.generation import load
from textwright.page.timelines import TIMELINES
from textwright.reporting import RunSummary, card_text, numbers, write_report
from textwright.runs import SHIPPED_MODELS, Run, list_runs
from textwright.training.loop.evaluation import sample_of

RECIPES = Path(__file__).resolve().parent
ROOT = RECIPES.parent
RUNS = ROOT / "runs" / "shipped"
REPORTS = ROOT / "docs" / "reports"

MOST_LOST = 1e-3
"""Nats a token that rounding may change the loss by."""
MOST_BYTES = 16_000_000
"""Of all models together."""

MADE_TEXTS = {
    "english": {
        "licence": "public domain (novels), CC BY-SA 3.0 (WikiText-2), BSD 3-Clause (talk)",
        "language": "en",
    }
}
"""What is known of texts that a script beside the recipe makes, by recipe."""


def build(recipe: Path, runs: Path, package: Path, reports: Path) -> Run:
    """Train what `recipe` says, or take its finished run, and put the model into `package`.

    Raises:
        TextwrightError: the training did not end, its settings were others, or rounding costs more
            than `MOST_LOST`.
    """
    name = recipe.stem
    run = train(recipe, runs)
    with tempfile.TemporaryDirectory() as folder:
        rounded = Run(Path(folder) / name)
        shutil.copytree(run.path, rounded.path, ignore=shutil.ignore_patterns("checkpoints"))
        round_weights(rounded)
        tell_of_rounded(rounded, run)
        atomic.write_text(rounded.card_file, card_text(RunSummary.read(rounded), name=name))
        report = write_report(rounded).read_text(encoding="utf-8")
        atomic.write_text(reports / f"{name}.html", report)
        shipped = Run(package / name)
        with atomic.replacing(shipped.path) as partial:
            partial.mkdir()
            for file in rounded.model_files:
                shutil.copy(file, partial)
        tell_how_it_learned(run, package)
    return shipped


def tell_how_it_learned(run: Run, package: Path) -> None:
    """Put samples and losses of `run` into the file beside the models, for the page."""
    file = package / TIMELINES.name
    told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    samples = run.samples()
    fields = ("step", "val_loss", "val_bits_per_char")
    told[run.name] = {
        "beginnings": told.get(run.name, {}).get("beginnings", [samples[0]["prompt"]]),
        "samples": [{name: row[name] for name in ("step", "prompt", "text")} for row in samples],
        "metrics": [{name: row[name] for name in fields} for row in run.metrics()],
    }
    text = json.dumps(dict(sorted(told.items())), ensure_ascii=False, indent=1)
    atomic.write_text(file, f"{text}\n")


def train(recipe: Path, runs: Path) -> Run:
    """The finished run of `recipe`.

    Raises:
        TextwrightError: it can't be trained, or was begun with another recipe.
    """
    begun = runs / recipe.name  # as it was; what is left out of it now would pass for unchanged
    wanted = recipe.read_text(encoding="utf-8")
    before = begun.read_text(encoding="utf-8") if begun.is_file() else wanted
    if (runs / recipe.stem).is_dir() and tomllib.loads(before) != tomllib.loads(wanted):
        raise RunError(f"{recipe.name} has changed since run {recipe.stem} was begun")
    atomic.write_text(begun, wanted)
    place = recipe.relative_to(ROOT) if recipe.is_relative_to(ROOT) else recipe.name
    run = training.train(
        config=recipe,
        name=recipe.stem,
        runs_folder=runs,
        resume=True,
        observers=[progress()],
        command=f"textwright train --config {place} --name {recipe.stem}",
    )
    status = run.settings()["result"]["status"]
    if status not in ("finished", "stopped early"):
        raise RunError(f"the training of {run.name} was {status}; the same command goes on with it")
    return run


def round_weights(run: Run) -> None:
    """Store the weights of `run` as float16."""
    weights = {
        name: array.astype(np.float16) for name, array in load_file(run.weights_file).items()
    }
    large = [name for name, array in weights.items() if not np.isfinite(array).all()]
    if large:
        raise RunError(f"{run.name}: {large[0]} has weights too large for float16")
    save_file(weights, run.weights_file, metadata={"format": "pt"})


def tell_of_rounded(rounded: Run, run: Run) -> None:
    """Let what `rounded` tells of itself be of its own weights, and of no machine's folders."""
    told = rounded.settings()
    before, after = evaluation.score(run), evaluation.score(rounded)
    lost = after.loss - before.loss
    print(f"{run.name}: validation loss {before.loss:.6f}, in float16 {lost:+.6f}", file=sys.stderr)
    if abs(lost) > MOST_LOST:
        raise RunError(f"{run.name}: float16 changes the loss by {lost:+.4f}, too much to ship")
    told["plan"] |= {"protocol": after.protocol, "eval_tokens": 0}  # all of the text
    told["result"] |= {"val_loss": after.loss, "val_bits_per_char": after.bits_per_char}
    if open_training_corpus(run).test is not None:
        told["result"]["test_loss"] = evaluation.score(rounded, told["corpus"]["sources"]).loss
    told["data"] |= MADE_TEXTS.get(run.name, {})
    told["corpus"]["sources"] = [without_folder(name) for name in told["corpus"]["sources"]]
    for source in told["data"]["sources"]:
        source["address"] = without_folder(source["address"])
    rounded.write_settings(told)
    atomic.write_text(rounded.samples_file, "".join(samples(rounded, told["result"]["best_step"])))


def without_folder(source: str) -> str:
    """A file by its name; anything else as it is."""
    return Path(source).name if Path(source).is_absolute() else source


def samples(run: Run, kept: int) -> Iterator[str]:
    """The lines of samples.jsonl, the one of step `kept` written by the weights as they are."""
    for sample in run.samples():
        if sample["step"] == kept:
            settings = TrainingSettings.model_validate(run.settings()["training"])
            sample["prompt"], sample["text"] = sample_of(load(run), settings)
        yield json.dumps(sample, ensure_ascii=False) + "\n"


def table(package: Path) -> str:
    """The models in `package`, as the table of `docs/shipped.md`, by what their cards say."""
    rows = ["| model | | parameters | files | validation loss | bits a character | |",
            "| --- | --- | ---: | ---: | ---: | ---: | --- |"]  # fmt: skip
    for run in list_runs(package):
        card: Any = ModelCard.load(run.card_file).data
        loss = {
            one.metric_type: one.metric_value
            for one in card.eval_results
            if one.dataset_split == "validation"
        }
        config = run.config()
        cells = (
            f"`{run.name}`",
            f"`{config.family}`",
            numbers.whole(config.parameter_count()),
            numbers.size(size(run.path)),
            numbers.loss(loss["loss"]),
            numbers.loss(loss["bits_per_char"]),
            f"[card](../src/textwright/shipped/{run.name}/README.md), "
            f"[report](reports/{run.name}.html)",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def size(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    """Read the options, build, and print the table of what is there."""
    names = sorted(recipe.stem for recipe in RECIPES.glob("*.toml"))
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", action="append", choices=names, help="make this one")
    parser.add_argument(
        "--runs", type=Path, default=RUNS, metavar="DIR", help="keeps the trainings"
    )
    parser.add_argument("--again", action="store_true", help="train anew, even what is trained")
    parser.add_argument("--table", action="store_true", help="make none; only print the table")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    try:
        for name in [] if arguments.table else arguments.only or names:
            if arguments.again and (arguments.runs / name).is_dir():
                Run(arguments.runs / name).remove()
            build(RECIPES / f"{name}.toml", arguments.runs, SHIPPED_MODELS, REPORTS)
    except TextwrightError as error:
        hint = "; --again trains it anew" if isinstance(error, RequestError) else ""
        raise SystemExit(f"error: {error}{hint}") from None
    print(table(SHIPPED_MODELS))
    if (there := size(SHIPPED_MODELS)) > MOST_BYTES:
        raise SystemExit(f"error: {there:,} bytes; the package takes at most {MOST_BYTES:,}")


if __name__ == "__main__":
    main()
