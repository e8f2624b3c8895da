"""A tolerant view of a run folder, for report, card, list and comparison: what it lacks is None or
empty, and what is damaged is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from textwright.configs import ModelConfig, nearest
from textwright.errors import RunError, TextwrightError
from textwright.reporting.verdict import Verdict, verdict
from textwright.runs import Run, is_training, match_run, runs_folder, shipped

SECTIONS = ("corpus", "tokenizer", "training", "sampling", "model")
"""The sections of `run.toml` that hold settings, as `--set` names them."""


@dataclass(frozen=True)
class RunSummary:
    """The facts and metrics of a run. Losses are in nats a token, times in seconds."""

    run: Run
    config: ModelConfig | None
    toml: dict[str, Any]
    """All of `run.toml`."""
    metrics: list[dict[str, Any]]
    samples: list[dict[str, Any]]
    damage: str | None = None
    """Why the folder can't be used, one line; None if it can."""

    @classmethod
    def read(cls, run: Run) -> RunSummary:
        """Read `run`, without raising: `damage` names what is damaged."""
        damage: list[str] = []
        config: ModelConfig | None = None
        toml: dict[str, Any] = {}
        try:
            config = run.config()
        except TextwrightError as error:
            damage.append(_reason(error, run))
        try:
            toml = run.settings()
        except TextwrightError as error:
            damage.append(_reason(error, run))
        if not damage and not run.has_model() and not _unfinished(toml):
            missing = [
                file.name for file in (run.weights_file, run.tokenizer_file) if not file.is_file()
            ]
            damage.append(f"{' and '.join(missing)} missing")
        return cls(run, config, toml, run.metrics(), run.samples(), "; ".join(damage) or None)

    def section(self, name: str) -> dict[str, Any]:
        """A table of `run.toml`; empty if there is none."""
        return _table(self.toml.get(name))

    @property
    def name(self) -> str:
        return self.run.name

    @property
    def family(self) -> str | None:
        return self.config.family if self.config else None

    @property
    def parameters(self) -> int | None:
        return self.config.parameter_count() if self.config else None

    @property
    def corpus(self) -> str | None:
        """The name of the corpus."""
        name = self.section("data").get("name")
        return str(name) if name else None

    @property
    def parent(self) -> str | None:
        """The name of the model that training started from; None for fresh weights."""
        name = self.section("parent").get("name")
        return str(name) if name else None

    @property
    def parent_texts(self) -> list[dict[str, Any]]:
        """The records of the texts that its parent was trained on, in order; empty if unknown."""
        texts = self.section("parent").get("texts")
        return [_table(text) for text in texts] if isinstance(texts, list) else []

    @property
    def tokenizer(self) -> str | None:
        kind = self.section("tokenizer").get("kind")
        return str(kind) if kind else None

    @property
    def legs(self) -> list[dict[str, Any]]:
        """Of a training that was gone on with beyond its plan, all of them; else none."""
        legs = self.section("plan").get("legs")
        found = [_table(leg) for leg in legs] if isinstance(legs, list) else []
        return [leg for leg in found if number(leg, "begin") is not None]

    @property
    def steps(self) -> int | None:
        """Steps done."""
        done = number(self.section("result"), "steps")
        last = self.metrics[-1]["step"] if self.metrics else None
        return last if done is None else int(done)

    @property
    def best(self) -> dict[str, Any]:
        """The evaluation with the lowest validation loss; empty if there is none."""
        evaluations = [record for record in self.metrics if number(record, "val_loss") is not None]
        return min(evaluations, key=lambda record: float(record["val_loss"]), default={})

    @property
    def best_step(self) -> int | None:
        """The step whose weights were saved."""
        best = number(self.section("result"), "best_step")
        return self.best.get("step") if best is None else int(best)

    @property
    def val_loss(self) -> float | None:
        """The best validation loss."""
        return _first(number(self.section("result"), "val_loss"), number(self.best, "val_loss"))

    @property
    def val_bits_per_char(self) -> float | None:
        """Bits a character of the saved weights, with those of what the tokenizer hid: comparable
        between tokenizers."""
        return _first(
            number(self.section("result"), "val_bits_per_char"),
            number(self.best, "val_bits_per_char"),
        )

    @property
    def val_unknown(self) -> float | None:
        """Share of the validation text that the vocabulary lacks: `<unk>`, left-out characters."""
        return number(self.section("data"), "validation_unknown")

    @property
    def protocol(self) -> str | None:
        """The evaluation protocol in words: how many validation tokens, and how."""
        for section in ("result", "plan"):
            if recorded := self.section(section).get("protocol"):
                return str(recorded)
        total = number(self.section("data"), "validation_tokens")
        if total is None:
            return None
        part = self.eval_tokens
        share = f"{part:,} of the" if 0 < part < total else "all"
        return f"{share} {total:,.0f} validation tokens"

    @property
    def eval_tokens(self) -> int:
        """Validation tokens that `val_loss` was measured on; 0: all."""
        measured = number(self.section("result"), "eval_tokens")
        return self.curve_tokens if measured is None else int(measured)

    @property
    def curve_tokens(self) -> int:
        """Those that each evaluation of the curve read; 0: all."""
        return int(number(self.section("plan"), "eval_tokens") or 0)

    @property
    def perplexity(self) -> float | None:
        """exp of the best validation loss, a token; comparable within one tokenizer only."""
        loss = self.val_loss
        return None if loss is None or loss > 700 else math.exp(loss)

    @property
    def tokens(self) -> int | None:
        """Tokens read in training, repetitions included."""
        read = number(self.metrics[-1], "tokens") if self.metrics else None
        return None if read is None else int(read)

    @property
    def seconds(self) -> float | None:
        """Duration of the training."""
        return _first(
            number(self.section("result"), "seconds"),
            number(self.metrics[-1], "seconds") if self.metrics else None,
        )

    @property
    def status(self) -> str:
        """`finished`, `stopped early`, `interrupted`, `running`, `model` (no training), `damaged`.

        A run that records `running` while no process trains it was killed: `interrupted`.
        """
        if self.damage:
            return "damaged"
        status = self.section("result").get("status")
        if status:
            killed = status == "running" and not is_training(self.run)
            return "interrupted" if killed else str(status)
        if not self.metrics and self.run.has_model():
            return "model"
        return "running" if is_training(self.run) else "interrupted"

    @property
    def verdict(self) -> Verdict:
        """The verdict on the curves."""
        plan = self.section("plan")
        steps = number(plan, "steps")
        return verdict(
            self.metrics,
            status=self.status,
            steps=None if steps is None else int(steps),
            minutes=number(plan, "minutes"),
            epochs=number(plan, "epochs"),
            continued=self.parent is not None,
            whole_loss=self.val_loss if self.eval_tokens < self.curve_tokens else None,
            base_bits=number(plan, "base_bits"),
        )

    @property
    def modified(self) -> datetime:
        """When the folder last changed, in local time."""
        files = (
            self.run.metrics_file, self.run.settings_file, self.run.config_file,
            self.run.weights_file,
        )  # fmt: skip
        times = [_modified(file) for file in (*files, self.run.path)]
        return datetime.fromtimestamp(max(times[:-1]) or times[-1], tz=UTC).astimezone()

    def settings(self) -> dict[str, Any]:
        """All settings by dotted name, the model's included."""
        model = self.section("model") or (self.config.model_dump() if self.config else {})
        sections = {**self.toml, "model": model}
        return {
            f"{section}.{name}": value
            for section in SECTIONS
            for name, value in _table(sections.get(section)).items()
        }

    def to_json(self) -> dict[str, Any]:
        """The run as `textwright runs list --json` prints it."""
        return {
            "name": self.name,
            "path": str(self.run.path),
            "status": self.status,
            "damage": self.damage,
            "family": self.family,
            "parameters": self.parameters,
            "corpus": self.corpus,
            "tokenizer": self.tokenizer,
            "steps": self.steps,
            "best_step": self.best_step,
            "val_loss": self.val_loss,
            "val_bits_per_char": self.val_bits_per_char,
            "val_unknown": self.val_unknown,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "verdict": self.verdict.text if self.metrics else None,
            "modified": self.modified.isoformat(timespec="seconds"),
        }


def summaries(folder: Path) -> list[RunSummary]:
    """All runs directly below `folder`, damaged ones included, the newest first."""
    runs = [RunSummary.read(run) for run in all_runs(folder)]
    return sorted(runs, key=lambda summary: (summary.modified, summary.name), reverse=True)


def all_runs(folder: Path) -> list[Run]:
    """All folders directly below `folder` with a run or remains of one, by name."""
    if not folder.is_dir():
        return []
    runs = [Run(entry) for entry in sorted(folder.iterdir()) if entry.is_dir()]
    return [
        run
        for run in runs
        if not run.name.startswith(".")
        and any(file.is_file() for file in (run.config_file, run.settings_file, run.metrics_file))
    ]


def run_to_remove(reference: str, folder: str | Path | None = None) -> Run:
    """The run directly below the runs folder with the name or path `reference`.

    Stricter than `textwright.runs.find`, since the run is going to be deleted.

    Raises:
        RunError: there is none, it lies elsewhere, is a link, is being trained, or comes with the
            package.
    """
    root = runs_folder(folder)
    known = all_runs(root)
    # Compare the path of a link itself, not of its target
    path = Path(reference)
    location = path.parent.resolve() / path.name
    at_path = (run for run in known if location == run.path.parent.resolve() / run.name)
    run = match_run(reference, known) or next(at_path, None)
    match = run or match_run(reference, shipped())
    if match is not None and match.is_shipped:
        raise RunError(f"{match.name!r} is a model that comes with the package, so it stays")
    if run is not None:
        if run.path.is_symlink():
            raise RunError(f"{run.path} is a link to another folder; remove the link itself")
        if is_training(run):
            raise RunError(f"run {run.name!r} is being trained; stop that first")
        return run
    if Path(reference).exists():
        raise RunError(
            f"{reference} is no run directly below {root}, so it stays; "
            "name the folder of runs with --runs"
        )
    names = [run.name for run in known]
    hint = nearest(reference, names) if names else "; there are none"
    raise RunError(f"no run {reference!r} in {root}{hint}")


def number(table: Mapping[str, Any], name: str) -> float | None:
    """`table[name]` if it is a finite number, else None."""
    value = table.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _unfinished(toml: dict[str, Any]) -> bool:
    """Whether weights may still be missing: training started and didn't end regularly."""
    status = _table(toml.get("result")).get("status")
    return bool(toml) and status not in ("finished", "stopped early")


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _reason(error: TextwrightError, run: Run) -> str:
    """The message without the run's name, which the list shows, and without the remedy."""
    text = str(error).removeprefix(f"run {run.name!r}: ").removeprefix(f"run {run.name!r} ")
    return text.split("; train it again", 1)[0].split(f": {run.path} is no run", 1)[0]


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
