"""Making the folder of a new run, without ever taking another's name."""

from __future__ import annotations

from pathlib import Path

from textwright import atomic
from textwright.errors import RunError
from textwright.runs.finding import command_for, matching
from textwright.runs.folder import Run
from textwright.runs.locking import is_training
from textwright.runs.naming import check_name, name_from, same_name

_WRITTEN_AT_START = {
    "tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json", ".training",
    ".start.safetensors",
}  # fmt: skip
"""What a training that is killed before its run.toml stands may leave."""


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
