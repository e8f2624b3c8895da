"""Which run a reference means, and what to type to do something with one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from textwright.configs import nearest
from textwright.errors import DownloadError, MissingPackageError, RunError
from textwright.runs.folder import SHIPPED_MODELS, Run
from textwright.runs.naming import runs_folder, same_name


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


def matching(name: str, found: Iterable[Run]) -> Run | None:
    """The one of `found` that is called `name`; else the first that is, up to `-` and `_`."""
    alike = [run for run in found if same_name(run.name) == same_name(name)]
    return min(alike, key=lambda run: run.name != name, default=None)


def listed(folder: Path) -> list[Run]:
    """Every run or model folder directly below `folder`, by name; not what is being written."""
    if not folder.is_dir():
        return []
    entries = sorted(entry for entry in folder.iterdir()
                     if entry.is_dir() and not entry.name.startswith("."))  # fmt: skip
    return [Run(entry) for entry in entries if (entry / "config.json").is_file()]


def shipped() -> list[Run]:
    """The models that come with the package, by name."""
    return listed(SHIPPED_MODELS)


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
