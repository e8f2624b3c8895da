"""The run folder: one training and everything about it. The only code that knows its file names.

A run is a *model folder* (enough to generate: config, weights, tokenizer, default sampling, card)
and, beside it, how it came to be: settings, metrics, samples, report, checkpoints. A model folder
alone, as it comes from the Hub, opens the same way; what it lacks reads as empty.
"""

from __future__ import annotations

import json
import os
import re
import shlex
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
"""Models that come with the package, a model folder each; `recipes/` says how they are made."""

_NAME = re.compile(r"[^\W_](?:[\w .+-]{0,98}[\w+-])?", re.UNICODE)
_WRITTEN_AT_START = {
    "tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json", ".training",
    ".start.safetensors",
}  # fmt: skip
"""What a training that is killed before its run.toml stands may leave."""

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

    @property
    def model_files(self) -> tuple[Path, ...]:
        """What makes up the model folder, whether or not it is there."""
        return (
            self.config_file, self.weights_file, self.tokenizer_file, self.tokenizer_config_file,
            self.generation_config_file, self.card_file,
        )  # fmt: skip

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
    def start_file(self) -> Path:
        """Weights to begin with: `weights_file` once `settings_file` stands, and not before, for
        a folder that has a model is never taken for what a killed start left."""
        return self.path / ".start.safetensors"

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
        """Write `run.toml`; what is None is left out, for TOML has no null.

        The bytes of a file name that aren't UTF-8 are spelled out, e.g. `\\udcff`.
        """
        atomic.write_text(self.settings_file, tomli_w.dumps(_as_toml(settings)))

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

    @property
    def is_shipped(self) -> bool:
        """Whether it comes with the package: nothing is written or deleted there."""
        return self.path.parent.resolve() == SHIPPED_MODELS.resolve()

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
        RunError: `name` is not a valid name, or is taken.
    """
    if name is not None:
        check_free(name, folder)
        for run in _called(name, folder):  # what a killed start left
            run.remove()
        try:
            return _make(folder / name)
        except FileExistsError:  # by another process, since
            raise _taken(Run(folder / name), name) from None
    stem = name_from(default)
    number = 1
    while True:
        wanted = stem if number == 1 else f"{stem}-{number}"
        number += 1
        there = _called(wanted, folder)
        # An empty folder may be one that another process has made just now
        if any(not _abandoned(run) or not any(run.path.iterdir()) for run in there):
            continue
        for run in there:
            run.remove()
        try:
            return _make(folder / wanted)
        except FileExistsError:
            continue


def check_free(name: str, folder: Path) -> None:
    """Check that a new run can be called `name`.

    Raises:
        RunError: it is no valid name, or one is there that is called so, up to `-` and `_`.
    """
    check_name(name)
    taken = [run for run in _called(name, folder) if not _abandoned(run)]
    if taken:
        raise _taken(matching(name, taken) or taken[0], name)


def _taken(run: Run, name: str) -> RunError:
    what = f"run {run.name!r} exists already in {run.path.parent}"
    if not _is_run(run):
        return RunError(f"{run.path} is there already and is no run; choose another --name")
    if run.name != name:
        what += f", and {name!r} is the same to every command"
    return RunError(
        f"{what}; choose another --name, go on with --resume, or remove it: "
        f"{command_for(run, 'runs rm')}"
    )


def _called(name: str, folder: Path) -> list[Run]:
    """All in `folder` that is called `name`, up to `-` and `_`, runs or not."""
    if not folder.is_dir():
        return []
    return [Run(entry) for entry in sorted(folder.iterdir())
            if same_name(entry.name) == same_name(name)]  # fmt: skip


def _abandoned(run: Run) -> bool:
    """Whether this is only what a training left that was killed before its run.toml stood."""
    if run.path.is_symlink() or not run.path.is_dir():
        return False
    files = {entry.name for entry in run.path.iterdir() if not entry.name.endswith(atomic.PARTIAL)}
    if not files <= _WRITTEN_AT_START:
        return False
    if run.config_file.name in files and run.lock_file.name not in files:
        return False  # no start leaves these alone: a model that is being copied here
    return not is_training(run)


def is_training(run: Run) -> bool:
    """Whether a process is training `run` right now: it holds a lock that ends with it."""
    if not run.lock_file.exists():
        return False
    import filelock

    lock = filelock.FileLock(run.lock_file, timeout=0)
    try:
        lock.acquire()
    except (filelock.Timeout, OSError):  # held, or not ours to ask about
        return True
    lock.release()
    return False


def matching(name: str, found: Iterable[Run]) -> Run | None:
    """The one of `found` that is called `name`; else the first that is, up to `-` and `_`."""
    alike = [run for run in found if same_name(run.name) == same_name(name)]
    return min(alike, key=lambda run: run.name != name, default=None)


def _is_run(run: Run) -> bool:
    return run.settings_file.is_file() or run.config_file.is_file()


def command_for(run: Run, verb: str) -> str:
    """What to type to do `verb` (`generate`, `runs rm` …) with `run`, from this folder."""
    return f"textwright {verb} {shlex.quote(run.name)}{_runs_option(run)}"


def resume_command(run: Run, *sources: str) -> str:
    """What to type to go on with the training of `run`, from this folder.

    Args:
        run: the run.
        sources: its text, where that has to be named again.
    """
    words = shlex.join(["train", *sources, "--name", run.name, "--resume"])
    return f"textwright {words}{_runs_option(run)}"


def _runs_option(run: Run) -> str:
    """` --runs DIR`, where the run doesn't lie in the folder that is taken anyway."""
    folder = run.path.parent
    if folder.resolve() == runs_folder().resolve():
        return ""
    return f" --runs {shlex.quote(str(folder))}"


def find(reference: str, folder: str | Path | None = None) -> Run:
    """The run that `reference` means.

    What is the user's own goes before what ships with the package.

    Args:
        reference: a path, a name under the runs folder (`-` and `_` are the same where none is
            called exactly so), the name of a model that ships with the package, or
            `hf:owner/name`.
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
    own, others = listed(root), shipped()
    if (run := matching(reference, own)) is not None:
        return run
    path = Path(reference)
    here = Run(path.resolve()) if path.is_dir() else None
    if here is not None and here.config_file.is_file():
        return here
    # a folder of texts may be called as a model that is made of them
    if (run := matching(reference, others) or here) is not None:
        return run
    if path.is_file():
        raise RunError(f"{reference} is a file; a run is a folder with config.json in it")
    names = [run.name for run in (*own, *others)]
    hint = nearest(reference, names) if names else "; there are none yet: textwright train FILE"
    raise RunError(f"no run {reference!r} in {root}{hint}")


def listed(folder: Path) -> list[Run]:
    """Every run or model folder directly below `folder`, by name."""
    if not folder.is_dir():
        return []
    entries = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    return [Run(entry) for entry in entries if (entry / "config.json").is_file()]


def shipped() -> list[Run]:
    """The models that come with the package, by name."""
    return listed(SHIPPED_MODELS)


def _make(path: Path) -> Run:
    try:
        path.mkdir(parents=True)
        return Run(path)
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


def _as_toml(value: Any) -> Any:
    if isinstance(value, dict):
        return {_as_toml(key): _as_toml(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_as_toml(item) for item in value if item is not None]
    if isinstance(value, str):  # Python has lone surrogates for bytes that aren't UTF-8
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return value
