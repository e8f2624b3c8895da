"""The runs of a folder: what one may be called, which one is meant, and the folder of a new one."""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from textwright import atomic
from textwright.configs import nearest
from textwright.errors import DownloadError, MissingPackageError, RunError
from textwright.runs.folder import SHIPPED_MODELS, Run, is_training

RUNS_VARIABLE = "TEXTWRIGHT_RUNS"
_NAME = re.compile(r"[^\W_](?:[\w .+-]{0,98}[\w+-])?", re.UNICODE)
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[\d¹²³]) *(\..*)?", re.IGNORECASE)  # on Windows
_MAX_BYTES = 200
"""Of a name in UTF-8: file systems take 255, and temporary files beside it have longer ones."""


def runs_folder(folder: str | Path | None = None) -> Path:
    """The folder of runs: `folder`, else `$TEXTWRIGHT_RUNS`, else `runs`."""
    return Path(folder or os.environ.get(RUNS_VARIABLE) or "runs")


def check_name(name: str) -> str:
    """`name` itself, if it is a valid folder name on every system.

    Raises:
        RunError: it is empty, holds a path separator or `..`, or is reserved.
    """
    if not _NAME.fullmatch(name) or ".." in name or _RESERVED.fullmatch(name):
        raise RunError(
            f"{name!r} can't be the name of a run; take letters, digits, '-', '_' and '.', "
            "a letter or digit first, at most 100"
        )
    if len(name.encode()) > _MAX_BYTES:
        raise RunError(f"{name!r} is too long for a run: {_MAX_BYTES} bytes at most")
    return name


def name_from(text: str) -> str:
    """A valid run name derived from `text`, e.g. a corpus name: `My Novel.txt` → `my-novel.txt`."""
    text = unicodedata.normalize("NFC", text)  # macOS may give a file's name as é = e + ´
    name = re.sub(r"[^\w.]+", "-", text.lower()).strip("-_.")[:80]
    name = re.sub(r"\.{2,}", ".", name)
    name = name.encode()[: _MAX_BYTES - 40].decode(errors="ignore")  # room for a number
    name = name.rstrip("-_.") or "run"
    return f"run-{name}" if _RESERVED.fullmatch(name) or not _NAME.fullmatch(name) else name


def name_key(name: str) -> str:
    """`name` for comparison: `-` and `_` are equal."""
    return name.replace("_", "-")


def find(reference: str, folder: str | Path | None = None) -> Run:
    """The run of `reference`; the user's own take precedence over shipped ones.

    Args:
        reference: a path, a name in the runs folder (`-` and `_` are equal unless one matches
            exactly), the name of a model that ships with the package, or `hf:owner/name`.
        folder: the runs folder; see `runs_folder`.

    Raises:
        RunError: there is none; the message offers the nearest name.
        DownloadError: the Hub can't be reached, or has no such model.
    """
    if reference.startswith("hf:"):
        return Run(_download(reference.removeprefix("hf:")))
    if not reference:
        raise RunError("no run named; `textwright runs` lists them")
    root = runs_folder(folder)
    own, others = list_runs(root), shipped()
    if (run := match_run(reference, own)) is not None:
        return run
    path = Path(reference)
    local = Run(path.resolve()) if path.is_dir() else None
    if local is not None and local.config_file.is_file():
        return local
    # A folder of texts may be named like a shipped model
    if (run := match_run(reference, others) or local) is not None:
        return run
    if path.is_file() and path.suffix.lower() == ".zip":
        raise RunError(
            f"{reference} is an archive; make a run of it: textwright import "
            f"{shlex.quote(reference)}"
        )
    if path.is_file():
        raise RunError(f"{reference} is a file; a run is a folder with config.json in it")
    names = [run.name for run in (*own, *others)]
    hint = nearest(reference, names) if names else "; there are none yet: textwright train FILE"
    raise RunError(f"no run {reference!r} in {root}{hint}")


def match_run(name: str, candidates: Iterable[Run]) -> Run | None:
    """The candidate named `name`; else the first named so with `-` for `_` or the reverse."""
    alike = [run for run in candidates if name_key(run.name) == name_key(name)]
    return min(alike, key=lambda run: run.name != name, default=None)


def list_runs(folder: Path) -> list[Run]:
    """The runs and model folders directly below `folder`, by name, without unfinished ones."""
    if not folder.is_dir():
        return []
    entries = sorted(entry for entry in folder.iterdir()
                     if entry.is_dir() and not entry.name.startswith("."))  # fmt: skip
    return [Run(entry) for entry in entries if (entry / "config.json").is_file()]


def list_models(folder: Path) -> list[Run]:
    """The models directly below `folder`, by name: also damaged ones, that lack a file or have a
    bad one, but no training without weights so far."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    except OSError:  # there is none, or it went away
        return []
    return [run for run in map(Run, entries) if _is_model(run)]


def _is_model(run: Run) -> bool:
    files = (run.config_file, run.weights_file, run.tokenizer_file)
    if run.lock_file.exists() and not run.weights_file.exists():
        return False
    return not run.name.startswith(".") and any(file.is_file() for file in files)


def shipped() -> list[Run]:
    """The models that come with the package, by name."""
    return list_runs(SHIPPED_MODELS)


def command_for(run: Run, verb: str) -> str:
    """The command line of `verb` (`generate`, `runs rm` …) for `run`, from this folder."""
    return f"textwright {verb} {shlex.quote(run.name)}{_runs_option(run)}"


def resume_command(run: Run, *sources: str) -> str:
    """The command line that resumes the training of `run`, from this folder.

    Args:
        run: the run.
        sources: its text, where it must be given again.
    """
    words = shlex.join(["train", *sources, "--name", run.name, "--resume"])
    return f"textwright {words}{_runs_option(run)}"


def _runs_option(run: Run) -> str:
    """` --runs DIR`, if the run isn't in the default runs folder."""
    folder = run.path.parent
    if folder.resolve() == runs_folder().resolve():
        return ""
    return f" --runs {shlex.quote(str(folder))}"


def _download(name: str) -> Path:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise RunError(f"hf:{name} is no model on the Hub; write hf:owner/name")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise MissingPackageError("hf: needs huggingface_hub; pip install textwright") from error
    patterns = ["*.json", "*.safetensors", "README.md"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        raise DownloadError(f"hf:{name} could not be downloaded: {reason}") from error


_WRITTEN_AT_START = {
    "tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json", ".training",
    ".start.safetensors",
}  # fmt: skip
"""Files that a training which was killed before it wrote run.toml may leave."""


def create(name: str | None, default: str, folder: Path) -> Run:
    """Make the folder of a new run.

    Args:
        name: as the user named it, or None.
        default: the name otherwise; `-2`, `-3` … is appended if that is taken.
        folder: the runs folder.

    Raises:
        RunError: `name` is not a valid name, or is taken.
    """
    if name is not None:
        check_free(name, folder)
        for run in _runs_named(name, folder):  # leftovers
            run.remove()
        try:
            return _make(folder / name)
        except FileExistsError:  # made by another process meanwhile
            raise _taken_error(Run(folder / name), name) from None
    stem = name_from(default)
    number = 1
    while True:
        candidate = stem if number == 1 else f"{stem}-{number}"
        number += 1
        existing = _runs_named(candidate, folder)
        # Another process may have made an empty folder just now
        if any(not _is_leftover(run) or not any(run.path.iterdir()) for run in existing):
            continue
        for run in existing:
            run.remove()
        try:
            return _make(folder / candidate)
        except FileExistsError:
            continue


def check_free(name: str, folder: Path) -> None:
    """Check that a new run can be named `name`.

    Raises:
        RunError: the name isn't valid, or is taken, also with `-` for `_`.
    """
    check_name(name)
    taken = [run for run in _runs_named(name, folder) if not _is_leftover(run)]
    if taken:
        raise _taken_error(match_run(name, taken) or taken[0], name)


def _taken_error(run: Run, name: str) -> RunError:
    what = f"run {run.name!r} exists already in {run.path.parent}"
    if not _is_run(run):
        return RunError(f"{run.path} is there already and is no run; choose another --name")
    if run.name != name:
        what += f", and {name!r} is the same to every command"
    return RunError(
        f"{what}; choose another --name, go on with --resume, or remove it: "
        f"{command_for(run, 'runs rm')}"
    )


def _runs_named(name: str, folder: Path) -> list[Run]:
    """Everything in `folder` that is named `name`, also with `-` for `_`, runs or not."""
    if not folder.is_dir():
        return []
    return [Run(entry) for entry in sorted(folder.iterdir())
            if name_key(entry.name) == name_key(name)]  # fmt: skip


def _is_leftover(run: Run) -> bool:
    """Whether it is what a training left that was killed before it wrote run.toml."""
    if run.path.is_symlink() or not run.path.is_dir():
        return False
    files = {entry.name for entry in run.path.iterdir() if not entry.name.endswith(atomic.PARTIAL)}
    if not files <= _WRITTEN_AT_START:
        return False
    if run.config_file.name in files and run.lock_file.name not in files:
        return False  # no training leaves only these: a model is being copied here
    return not is_training(run)


def _is_run(run: Run) -> bool:
    return run.settings_file.is_file() or run.config_file.is_file()


def _make(path: Path) -> Run:
    try:
        path.mkdir(parents=True)
        return Run(path)
    except FileExistsError:
        raise
    except OSError as error:
        raise atomic.disk_error(error, path) from error
