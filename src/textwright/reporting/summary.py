"""What is known of a run, read tolerantly: whatever its folder lacks is None or empty.

The report, the card, the list and the comparison all read a run through this one view.
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
from textwright.runs import Run, is_training, matching, runs_folder, shipped

SECTIONS = ("corpus", "tokenizer", "training", "sampling", "model")
"""The sections of `run.toml` that are settings, by which `--set` calls them."""


@dataclass(frozen=True)
class RunSummary:
    """A run's facts and numbers. Losses are nats a token, times seconds."""

    run: Run
    config: ModelConfig | None
    toml: dict[str, Any]
    """All of `run.toml`."""
    metrics: list[dict[str, Any]]
    samples: list[dict[str, Any]]
    damage: str | None = None
    """Why the folder can't be used, one line; None for a sound one."""

    @classmethod
    def read(cls, run: Run) -> RunSummary:
        """Read `run`; what is damaged is named in `damage`, and never raises."""
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
        """A table of `run.toml`; empty where there is none."""
        found = self.toml.get(name)
        return found if isinstance(found, dict) else {}

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
        """The corpus's name."""
        name = self.section("data").get("name")
        return str(name) if name else None

    @property
    def parent(self) -> str | None:
        """The name of the model that training began with; None where that was a fresh one."""
        name = self.section("parent").get("name")
        return str(name) if name else None

    @property
    def texts_before(self) -> list[dict[str, Any]]:
        """What its parent had read, the first text first; empty where that isn't known."""
        texts = self.section("parent").get("texts")
        return [_table(text) for text in texts] if isinstance(texts, list) else []

    @property
    def tokenizer(self) -> str | None:
        kind = self.section("tokenizer").get("kind")
        return str(kind) if kind else None

    @property
    def steps(self) -> int | None:
        """Steps done."""
        done = number(self.section("result"), "steps")
        last = self.metrics[-1]["step"] if self.metrics else None
        return last if done is None else int(done)

    @property
    def best(self) -> dict[str, Any]:
        """The evaluation with the lowest validation loss; empty where there is none."""
        readable = [record for record in self.metrics if number(record, "val_loss") is not None]
        return min(readable, key=lambda record: float(record["val_loss"]), default={})

    @property
    def best_step(self) -> int | None:
        """The step whose weights were kept."""
        best = number(self.section("result"), "best_step")
        return self.best.get("step") if best is None else int(best)

    @property
    def val_loss(self) -> float | None:
        """The best validation loss."""
        return _first(number(self.section("result"), "val_loss"), number(self.best, "val_loss"))

    @property
    def val_bits_per_char(self) -> float | None:
        """Bits a character of the kept weights: comparable whatever the tokenizer."""
        return _first(
            number(self.section("result"), "val_bits_per_char"),
            number(self.best, "val_bits_per_char"),
        )

    @property
    def protocol(self) -> str | None:
        """How much of the validation text the losses were measured on, and how, in words."""
        written = self.section("plan").get("protocol")
        if written:
            return str(written)
        every = number(self.section("data"), "validation_tokens")
        part = number(self.section("plan"), "eval_tokens")
        if every is None:
            return None
        share = f"{part:,.0f} of the" if part and part < every else "all"
        return f"{share} {every:,.0f} validation tokens"

    @property
    def perplexity(self) -> float | None:
        """e to the best validation loss: a token, so it compares within one tokenizer only."""
        loss = self.val_loss
        return None if loss is None or loss > 700 else math.exp(loss)

    @property
    def tokens(self) -> int | None:
        """Tokens trained on, each time one was read."""
        read = number(self.metrics[-1], "tokens") if self.metrics else None
        return None if read is None else int(read)

    @property
    def seconds(self) -> float | None:
        """How long it trained."""
        return _first(
            number(self.section("result"), "seconds"),
            number(self.metrics[-1], "seconds") if self.metrics else None,
        )

    @property
    def status(self) -> str:
        """`finished`, `stopped early`, `interrupted`, `running`, `model` (no training), `damaged`.

        A run that says it is running while no process holds it was killed: `interrupted`.
        """
        if self.damage:
            return "damaged"
        status = self.section("result").get("status")
        if status:
            return "interrupted" if status == "running" and not self._held() else str(status)
        if not self.metrics and self.run.has_model():
            return "model"
        return "running" if self._held() else "interrupted"

    def _held(self) -> bool:
        return is_training(self.run)

    @property
    def verdict(self) -> Verdict:
        """What the curves show."""
        plan = self.section("plan")
        steps = number(plan, "steps")
        return verdict(
            self.metrics,
            status=self.status,
            steps=None if steps is None else int(steps),
            minutes=number(plan, "minutes"),
            epochs=number(plan, "epochs"),
            continued=self.parent is not None,
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
        """Every setting by its dotted name, the model's among them."""
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
            "tokens": self.tokens,
            "seconds": self.seconds,
            "verdict": self.verdict.text if self.metrics else None,
            "modified": self.modified.isoformat(timespec="seconds"),
        }


def summaries(folder: Path) -> list[RunSummary]:
    """Every run directly below `folder`, damaged ones included, the newest first."""
    found = [RunSummary.read(run) for run in all_runs(folder)]
    return sorted(found, key=lambda summary: (summary.modified, summary.name), reverse=True)


def all_runs(folder: Path) -> list[Run]:
    """Every folder directly below `folder` that holds a run or what is left of one, by name."""
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
    """The run directly below the runs folder that `reference` names, as a name or a path.

    Stricter than `textwright.runs.find`, since what it finds is going to be deleted.

    Raises:
        RunError: there is none, it lies elsewhere, is a link, is being trained, or comes with the
            package.
    """
    root = runs_folder(folder)
    known = all_runs(root)
    # a link is compared where it stands, never where it leads
    path = Path(reference)
    place = path.parent.resolve() / path.name
    at_place = (run for run in known if place == run.path.parent.resolve() / run.name)
    run = matching(reference, known) or next(at_place, None)
    meant = run or matching(reference, shipped())
    if meant is not None and meant.is_shipped:
        raise RunError(f"{meant.name!r} is a model that comes with the package, so it stays")
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
    """A finite number of `table`, else None."""
    value = table.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _unfinished(toml: dict[str, Any]) -> bool:
    """Whether the weights may be missing still: training began and has not ended well."""
    status = _table(toml.get("result")).get("status")
    return bool(toml) and status not in ("finished", "stopped early")


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _reason(error: TextwrightError, run: Run) -> str:
    """The error without what the list says anyway, and without advice for another moment."""
    text = str(error).removeprefix(f"run {run.name!r}: ").removeprefix(f"run {run.name!r} ")
    return text.split("; train it again", 1)[0].split(f": {run.path} is no run", 1)[0]


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
