"""The run folder: one training and everything about it. The only code that knows its file names.

A run is a *model folder* (enough to generate: config, weights, tokenizer, default sampling, card)
and, beside it, how it came to be: settings, metrics, samples, report, checkpoints. A model folder
alone, as it comes from the Hub, opens the same way; what it lacks reads as empty.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from textwright import atomic
from textwright.configs import ModelConfig, model_config, nearest
from textwright.errors import DownloadError, MissingPackageError, RunError, TextwrightError

RUNS_VARIABLE = "TEXTWRIGHT_RUNS"
SHIPPED_MODELS = Path(__file__).parent / "shipped"
"""Models that come with the package, a folder each."""

_NAME = re.compile(r"[^\W_](?:[\w .+-]{0,98}[\w+-])?", re.UNICODE)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # on Windows


def runs_folder(folder: str | Path | None = None) -> Path:
    """The folder of runs: `folder`, else `$TEXTWRIGHT_RUNS`, else `runs`."""
    return Path(folder or os.environ.get(RUNS_VARIABLE) or "runs")


def check_name(name: str) -> str:
    """`name`, if a folder may be called so on every system.

    Raises:
        RunError: it is empty, holds a path separator or `..`, or is reserved.
    """
    if not _NAME.fullmatch(name) or ".." in name or _RESERVED.fullmatch(name):
        raise RunError(
            f"{name!r} can't be the name of a run; take letters, digits, '-', '_' and '.', "
            "a letter or digit first, at most 100"
        )
    return name


def name_from(text: str) -> str:
    """A valid run name near `text`, e.g. a corpus name: `My Novel.txt` → `my-novel.txt`."""
    name = re.sub(r"[^\w.]+", "-", text.lower()).strip("-_.")[:80].replace("..", ".")
    name = name.rstrip("-_.") or "run"
    return f"run-{name}" if _RESERVED.fullmatch(name) or not _NAME.fullmatch(name) else name


def same_name(name: str) -> str:
    """`name` as it is compared: `-` and `_` are the same."""
    return name.replace("_", "-")


@dataclass(frozen=True)
class Run:
    """A run folder at `path`; reading never changes it."""

    path: Path

    # The model folder
    @property
    def name(self) -> str:
        return self.path.name

    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def weights_file(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def tokenizer_file(self) -> Path:
        return self.path / "tokenizer.json"

    @property
    def tokenizer_config_file(self) -> Path:
        return self.path / "tokenizer_config.json"

    @property
    def generation_config_file(self) -> Path:
        return self.path / "generation_config.json"

    @property
    def card_file(self) -> Path:
        return self.path / "README.md"

    # How it came to be
    @property
    def settings_file(self) -> Path:
        return self.path / "run.toml"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def metrics_csv_file(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def samples_file(self) -> Path:
        return self.path / "samples.jsonl"

    @property
    def report_file(self) -> Path:
        return self.path / "report.html"

    @property
    def tensorboard_folder(self) -> Path:
        return self.path / "tensorboard"

    @property
    def checkpoints_folder(self) -> Path:
        return self.path / "checkpoints"

    @property
    def lock_file(self) -> Path:
        return self.path / ".training"

    def config(self) -> ModelConfig:
        """The model's config. Raises `RunError` where the file is missing or damaged."""
        try:
            return model_config(self.read_json(self.config_file))
        except RunError:
            raise
        except TextwrightError as error:
            raise RunError(f"run {self.name!r}: {error}") from error

    def read_json(self, file: Path) -> dict[str, Any]:
        """A JSON object of the folder. Raises `RunError` where it is missing or damaged."""
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(
                f"run {self.name!r} has no {file.name}: {self.path} is no run or model folder, "
                "or its training never started; train it again"
            ) from None
        except (ValueError, OSError) as error:
            raise RunError(f"run {self.name!r}: {file.name} is damaged ({error})") from error
        if not isinstance(data, dict):
            raise RunError(f"run {self.name!r}: {file.name} is damaged (not a JSON object)")
        return data

    def write_json(self, file: Path, data: dict[str, Any]) -> None:
        """Write a JSON object of the folder, whole or not at all."""
        atomic.write_text(file, json.dumps(data, indent=2, ensure_ascii=False) + "\n")

    def settings(self) -> dict[str, Any]:
        """What `run.toml` holds; empty for a model folder that has none."""
        try:
            return tomllib.loads(self.settings_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (ValueError, OSError) as error:
            raise RunError(f"run {self.name!r}: run.toml is damaged ({error})") from error

    def write_settings(self, settings: dict[str, Any]) -> None:
        """Write `run.toml`; what is None is left out, for TOML has no null."""
        atomic.write_text(self.settings_file, tomli_w.dumps(_without_none(settings)))

    def metrics(self) -> list[dict[str, Any]]:
        """One object an evaluation, in order of step."""
        return _read_lines(self.metrics_file)

    def samples(self) -> list[dict[str, Any]]:
        """One object an evaluation: step, prompt, text."""
        return _read_lines(self.samples_file)

    def append(self, file: Path, record: dict[str, Any]) -> None:
        """Add one object to `metrics_file` or `samples_file`, on the disk before this returns."""
        try:
            with file.open("a", encoding="utf-8", newline="\n") as lines:
                lines.write(json.dumps(record, ensure_ascii=False) + "\n")
                lines.flush()
                os.fsync(lines.fileno())
        except OSError as error:
            raise atomic.disk_error(error, file) from error

    def forget_after(self, step: int) -> None:
        """Drop metrics and samples of later steps: what a killed run wrote past its checkpoint."""
        for file in (self.metrics_file, self.samples_file):
            kept = [record for record in _read_lines(file) if record["step"] <= step]
            lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in kept)
            atomic.write_text(file, "".join(lines))

    def checkpoint_folder(self, step: int) -> Path:
        return self.checkpoints_folder / f"step-{step}"

    def checkpoints(self) -> list[tuple[int, Path]]:
        """(step, folder) of every whole checkpoint, the latest first."""
        found = []
        if self.checkpoints_folder.is_dir():
            for entry in self.checkpoints_folder.iterdir():
                match = re.fullmatch(r"step-(\d+)", entry.name)
                if match and entry.is_dir():
                    found.append((int(match[1]), entry))
        return sorted(found, reverse=True)

    def has_model(self) -> bool:
        """Whether the folder is enough to generate from."""
        files = (self.config_file, self.weights_file, self.tokenizer_file)
        return all(file.is_file() for file in files)

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path)


def create(name: str | None, default: str, folder: Path) -> Run:
    """Make the folder of a new run.

    Args:
        name: what the user called it, or None.
        default: what it is called otherwise; `-2`, `-3` … is added where that is taken.
        folder: where runs live.

    Raises:
        RunError: `name` is not a valid name, or exists already.
    """
    if name is not None:
        path = folder / check_name(name)
        if path.exists():
            raise RunError(
                f"run {name!r} exists already in {folder}; choose another --name, go on with "
                f"--resume, or remove it: textwright runs rm {name}"
            )
        _make(path)
        return Run(path)
    stem = name_from(default)
    number = 1
    while True:
        path = folder / (stem if number == 1 else f"{stem}-{number}")
        try:
            _make(path)
            return Run(path)
        except FileExistsError:
            number += 1


def find(reference: str, folder: str | Path | None = None) -> Run:
    """The run that `reference` means.

    Args:
        reference: a path, a name under the runs folder (`-` and `_` are the same), the name of a
            model that ships with the package, or `hf:owner/name`.
        folder: the runs folder; see `runs_folder`.

    Raises:
        RunError: there is none; the message offers the nearest name.
        DownloadError: `hf:` and the Hub can't be reached or has none of this name.
    """
    if reference.startswith("hf:"):
        return Run(_download(reference.removeprefix("hf:")))
    if not reference:
        raise RunError("no run named; `textwright runs` lists them")
    root = runs_folder(folder)
    for place in (root, SHIPPED_MODELS):
        for run in listed(place):
            if same_name(run.name) == same_name(reference):
                return run
    path = Path(reference)
    if path.is_dir():
        return Run(path.resolve())
    if path.is_file():
        raise RunError(f"{reference} is a file; a run is a folder with config.json in it")
    known = [run.name for place in (root, SHIPPED_MODELS) for run in listed(place)]
    hint = nearest(reference, known) if known else "; there are none yet: textwright train FILE"
    raise RunError(f"no run {reference!r} in {root}{hint}")


def listed(folder: Path) -> list[Run]:
    """Every run or model folder directly below `folder`, by name."""
    if not folder.is_dir():
        return []
    entries = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    return [Run(entry) for entry in entries if (entry / "config.json").is_file()]


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        raise
    except OSError as error:
        raise atomic.disk_error(error, path) from error


def _download(name: str) -> Path:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise RunError(f"hf:{name} is no model on the Hub; write hf:owner/name")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise MissingPackageError("hf: needs huggingface_hub; pip install textwright") from error
    wanted = ["*.json", "*.safetensors", "README.md"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        raise DownloadError(f"hf:{name} could not be downloaded: {reason}") from error


def _read_lines(file: Path) -> list[dict[str, Any]]:
    """The objects of a `.jsonl`; a last line that a kill cut short is left out."""
    try:
        lines: Iterable[str] = file.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return []
    records = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("step"), int):
            records.append(record)
    return records


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value if item is not None]
    return value
