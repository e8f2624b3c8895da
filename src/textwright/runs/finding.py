"""Resolving a reference to a run, and the commands to type for one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from textwright.configs import nearest
from textwright.errors import DownloadError, MissingPackageError, RunError
from textwright.runs.folder import SHIPPED_MODELS, Run
from textwright.runs.naming import name_key, runs_folder


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
