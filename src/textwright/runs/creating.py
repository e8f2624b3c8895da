"""Creating the folder of a new run, safe against other processes."""

from __future__ import annotations

from pathlib import Path

from textwright import atomic
from textwright.errors import RunError
from textwright.runs.finding import command_for, match_run
from textwright.runs.folder import Run
from textwright.runs.locking import is_training
from textwright.runs.naming import check_name, name_from, name_key

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
