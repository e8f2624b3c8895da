"""A run folder: its files, how they are read and written, and its lock.

A run is a *model folder* (enough to generate: config, weights, tokenizer, default sampling, card)
with the records of its training: settings, metrics, samples, report, checkpoints. A model folder
alone, as on the Hub, opens the same way; missing records read as empty.

One process trains a run, and any process can ask whether one does. A file lock ends with the
process that holds it, however that ends. A query must not fail a training that starts at that
moment: so queries take a shared lock where the system has them, which doesn't conflict with other
queries, and hold it for microseconds, while a start retries for a while.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from textwright import atomic
from textwright.configs import ModelConfig, model_config
from textwright.errors import RunError, TextwrightError
from textwright.notebook_display import html_of, print_plain

SHIPPED_MODELS = Path(__file__).parent.parent / "shipped"
"""Models that come with the package, a model folder each; `recipes/` says how they are made."""


_MAX_JSON = 1 << 28
"""Bytes of a JSON file of a run."""


@dataclass(frozen=True)
class Run:
    """A run folder at `path`; reading never changes it."""

    path: Path

    _repr_html_ = html_of
    _repr_pretty_ = print_plain

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
    def companion_file(self) -> Path:
        """What is mixed with the network's logits; runs without one have no such file."""
        return self.path / "companion.safetensors"

    @property
    def card_file(self) -> Path:
        return self.path / "README.md"

    @property
    def model_files(self) -> tuple[Path, ...]:
        """The files of the model folder, whether or not they exist."""
        return (
            self.config_file, self.weights_file, self.tokenizer_file, self.tokenizer_config_file,
            self.generation_config_file, self.companion_file, self.card_file,
        )  # fmt: skip

    # The training
    @property
    def settings_file(self) -> Path:
        return self.path / "run.toml"

    @property
    def text_file(self) -> Path:
        """The prepared training text, where the run has the only copy: one trained in a browser."""
        return self.path / "text.utf8"

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
    def live_file(self) -> Path:
        """Progress of a running training between two evaluations."""
        return self.path / "live.json"

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
        """Initial weights; renamed to `weights_file` once `settings_file` is written. Before that a
        killed training's folder must not have a model, or it wouldn't count as a leftover."""
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
            if file.exists() and not file.is_file():
                raise OSError("a folder, a pipe or a device in its place")
            if file.is_file() and file.stat().st_size > _MAX_JSON:
                raise OSError("larger than any can be")
            data = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(
                f"run {self.name!r} has no {file.name}: {self.path} is no run or model folder, "
                "or its training never started; train it again"
            ) from None
        except (ValueError, OSError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else error
            raise RunError(
                f"run {self.name!r}: {file.name} is damaged ({reason}); copy it again"
            ) from error
        if not isinstance(data, dict):
            raise RunError(
                f"run {self.name!r}: {file.name} is damaged (not a JSON object); copy it again"
            )
        return data

    def write_json(self, file: Path, data: dict[str, Any]) -> None:
        """Write a JSON object of the folder, whole or not at all."""
        atomic.write_text(file, json.dumps(data, indent=2, ensure_ascii=False) + "\n")

    def settings(self) -> dict[str, Any]:
        """The contents of `run.toml`; empty for a model folder without one."""
        try:
            return tomllib.loads(self.settings_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (ValueError, OSError) as error:
            raise RunError(
                f"run {self.name!r}: run.toml is damaged ({error}); mend it, or copy it again"
            ) from error

    def write_settings(self, settings: dict[str, Any]) -> None:
        """Write `run.toml`, without values that are None, for TOML has no null.

        Bytes of file names that aren't UTF-8 are escaped, e.g. `\\udcff`.
        """
        atomic.write_text(self.settings_file, tomli_w.dumps(_as_toml(settings)))

    def metrics(self) -> list[dict[str, Any]]:
        """One object an evaluation, in order of step."""
        return _read_lines(self.metrics_file)

    def samples(self) -> list[dict[str, Any]]:
        """One object an evaluation: step, prompt, text."""
        return _read_lines(self.samples_file)

    def append(self, file: Path, record: dict[str, Any]) -> None:
        """Append one object to `metrics_file` or `samples_file`, and sync it to the disk."""
        try:
            with file.open("a", encoding="utf-8", newline="\n") as lines:
                lines.write(json.dumps(record, ensure_ascii=False) + "\n")
                lines.flush()
                os.fsync(lines.fileno())
        except OSError as error:
            raise atomic.disk_error(error, file) from error

    def drop_after(self, step: int) -> None:
        """Drop metrics and samples of later steps, as a killed run wrote after its checkpoint."""
        for file in (self.metrics_file, self.samples_file):
            records = [record for record in _read_lines(file) if record["step"] <= step]
            lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
            atomic.write_text(file, "".join(lines))

    def checkpoint_folder(self, step: int) -> Path:
        return self.checkpoints_folder / f"step-{step}"

    def checkpoints(self) -> list[tuple[int, Path]]:
        """(step, folder) of every complete checkpoint, the latest first."""
        checkpoints = []
        if self.checkpoints_folder.is_dir():
            for entry in self.checkpoints_folder.iterdir():
                match = re.fullmatch(r"step-(\d+)", entry.name)
                if match and entry.is_dir():
                    checkpoints.append((int(match[1]), entry))
        return sorted(checkpoints, reverse=True)

    @property
    def is_shipped(self) -> bool:
        """Whether it ships with the package, where nothing is written or deleted."""
        return self.path.parent.resolve() == SHIPPED_MODELS.resolve()

    def files_to_copy(self) -> list[Path]:
        """The files of the model folder that are there, to be copied elsewhere.

        Raises:
            RunError: one is a link out of the folder: what it leads to is not the model's, and may
                be private. A folder of the Hub's cache has links to files there.
        """
        home = self.path.resolve()
        blobs = home.parent.parent / "blobs"
        for file in self.model_files:
            target = file.resolve()
            if file.is_symlink() and not (target.is_relative_to(home) or target.parent == blobs):
                raise RunError(
                    f"run {self.name!r}: {file.name} is a link to {target}, out of the folder; put "
                    "the file itself there"
                )
        return [file for file in self.model_files if file.is_file()]

    def has_model(self) -> bool:
        """Whether the folder has all that generating needs."""
        files = (self.config_file, self.weights_file, self.tokenizer_file)
        return all(file.is_file() for file in files)

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path)


def _read_lines(file: Path) -> list[dict[str, Any]]:
    """The objects of a `.jsonl`; a last line that was cut by a kill is skipped."""
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


def is_model_folder(path: Path) -> bool:
    """Whether the files in a folder are those of a run, of a model folder, or of transformers'."""
    run = Run(path)
    if run.settings_file.is_file() and (run.start_file.is_file() or run.metrics_file.is_file()):
        return True
    return run.config_file.is_file() and (
        run.tokenizer_file.is_file()
        or run.settings_file.is_file()
        or any(path.glob("*.safetensors"))
    )


LOCK_TIMEOUT = 2.0
"""Seconds that a start retries: many times as long as a query takes."""
POLL_INTERVAL = 0.005
"""Seconds between two attempts."""


@contextmanager
def training_lock(run: Run) -> Iterator[None]:
    """Hold the exclusive right to train `run`.

    Raises:
        RunError: another process holds it.
        TextwrightError: the lock file can't be written.
    """
    import filelock

    lock = filelock.FileLock(run.lock_file, timeout=LOCK_TIMEOUT)
    try:
        lock.acquire(poll_interval=POLL_INTERVAL)
    except filelock.Timeout:
        raise RunError(
            f"run {run.name!r} is being trained by another process; "
            "wait until that ends, or stop it"
        ) from None
    except OSError as error:
        raise atomic.disk_error(error, run.path) from error
    try:
        yield
    finally:
        # Before the release, after which another may hold it; Windows can't delete an open file
        with suppress(PermissionError):
            run.lock_file.unlink(missing_ok=True)
        lock.release()


def lock_to_inherit(file: Path) -> int | None:
    """Lock `file` and return its descriptor, by which a child process inherits the lock; None where
    another process holds it. On Windows, where none can be inherited, nothing is locked.

    Raises:
        OSError: the file can't be written.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    if sys.platform != "win32":
        import fcntl

        deadline = time.monotonic() + LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:  # perhaps of a query only
                if is_locked(file) or time.monotonic() > deadline:
                    os.close(descriptor)
                    return None
            time.sleep(POLL_INTERVAL)
    return descriptor


def is_training(run: Run) -> bool:
    """Whether a process is training `run` right now."""
    return is_locked(run.lock_file)


def is_locked(file: Path) -> bool:
    """Whether a process holds the lock `file`; True if that can't be found out."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:  # another user's
        return True
    try:
        return _is_lock_refused(descriptor)
    finally:
        os.close(descriptor)


def _is_lock_refused(descriptor: int) -> bool:
    try:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except OSError:
        return True
    return _is_lock_refused_on_windows(descriptor)


def _is_lock_refused_on_windows(descriptor: int) -> bool:
    """Python has no shared locks there, so retry: another query is over within microseconds."""
    if sys.platform == "win32":
        import msvcrt

        for _ in range(5):
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except OSError:
                time.sleep(POLL_INTERVAL)
                continue
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
            return False
    return True
