"""What of a folder is text: every file below it, but for what programs keep there.

Models and runs, caches, packages and hidden files are never text: a folder that is trained on twice
would else be trained on the first run's own files.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from textwright.data.formats.files import SourceFile, local_file

_PROGRAMS_FOLDERS = {"__pycache__", "__macosx", "node_modules", "$recycle.bin", "lost+found"}
"""Names (in small letters) of folders that only programs write."""

_PROGRAMS_FILES = {"desktop.ini", "thumbs.db"}

_MARKS = ("CACHEDIR.TAG", "pyvenv.cfg")
"""Files that say that a folder is a cache (bford.info/cachedir) or holds a Python."""


class FolderReader:
    """Finds the text files below folders, and notes what it leaves out."""

    def __init__(self, cache: Path, is_model_folder: Callable[[Path], bool]) -> None:
        """Args: the cache of prepared text, and whether a folder is a run's or a model's."""
        self._cache = cache.absolute()
        self._is_model_folder = is_model_folder
        self._known: dict[Path, bool] = {}
        self.left_out: list[str] = []
        """What a user may have taken for text, a line each; hidden files are not among them."""

    def files_below(self, folder: Path) -> Iterator[SourceFile]:
        """The files below a folder, in natural order of their names."""
        paths: list[Path] = []
        for root, folders, names in os.walk(folder, onerror=self._note_unreadable):
            folders[:] = [name for name in folders if self._enters(Path(root, name))]
            paths += [Path(root, name) for name in names if not _is_hidden(Path(root, name))]
        for path in sorted(paths, key=lambda path: natural_order(str(path.relative_to(folder)))):
            if path.is_file() and self._is_text(path):
                yield local_file(path, explicit=False)
            elif not path.is_file():
                self.leave_out(path)

    def may_hold_text(self, path: Path, root: Path) -> bool:
        """Whether no folder from `root` down to `path`, nor itself, is a program's."""
        if not self._is_text(path):
            return False
        below = [path, *path.parents]
        below = below[: below.index(root)] if root in below else below[:1]
        return all(self._enters(folder) for folder in reversed(below) if folder.is_dir())

    def leave_out(self, path: Path) -> None:
        """Note a path that is no file, and why."""
        if path.is_symlink() and not path.exists():
            try:
                target = path.readlink()
            except OSError:
                target = Path("?")
            self.left_out.append(f"{path}: a link to {target}, which does not exist")
        else:
            self.left_out.append(f"{path}: no regular file (a pipe, a socket or a device)")

    def _is_text(self, path: Path) -> bool:
        if _is_programs_own(path.name):
            self.left_out.append(f"{path}: what a program keeps beside a file, which is no text")
            return False
        return True

    def _enters(self, folder: Path) -> bool:
        if folder not in self._known:  # a glob asks once for each file
            self._known[folder] = self._may_enter(folder)
        return self._known[folder]

    def _may_enter(self, folder: Path) -> bool:
        if _is_hidden(folder):
            return False
        if folder.is_symlink() or _is_junction(folder):
            # It may lead out, to a folder of millions of files, or round in a circle
            line = f"{folder}: a link to a folder, which is not followed; name the folder itself"
        elif folder.absolute() == self._cache:
            return False
        elif self._is_model_folder(folder):
            line = f"{folder}: a model's own files, which are no text"
        elif any((folder / mark).is_file() for mark in _MARKS):
            line = f"{folder}: a cache or a Python environment, which holds no text"
        else:
            return folder.name.lower() not in _PROGRAMS_FOLDERS
        self.left_out.append(line)
        return False

    def _note_unreadable(self, error: OSError) -> None:
        reason = "no permission" if isinstance(error, PermissionError) else error.strerror
        self.left_out.append(f"{error.filename}: a folder that can't be read ({reason})")


def natural_order(path: str) -> tuple[list[list[tuple[int, int, str]]], str]:
    """A sort key: `chapter-2` before `chapter-10`; ties by the path itself."""
    parts = [
        [
            (0, int(piece), "") if piece.isdecimal() else (1, 0, piece.casefold())
            for piece in re.split(r"(\d+)", part)
            if piece
        ]
        for part in Path(path).parts
    ]
    return parts, path


def _is_hidden(path: Path) -> bool:
    """By its name, or by the attributes of Windows."""
    if path.name.startswith("."):
        return True
    if os.name != "nt":
        return False
    try:
        attributes = getattr(path.lstat(), "st_file_attributes", 0)
    except OSError:
        return False
    return bool(attributes & (stat.FILE_ATTRIBUTE_HIDDEN | stat.FILE_ATTRIBUTE_SYSTEM))


def _is_programs_own(name: str) -> bool:
    """A backup that an editor made, a mark that a document is open, the look of a folder."""
    return name.endswith("~") or name.startswith("~$") or name.lower() in _PROGRAMS_FILES


def _is_junction(path: Path) -> bool:
    """Whether it is a Windows junction, which `os.walk` would follow before Python 3.12."""
    is_junction: Callable[[], bool] | None = getattr(path, "is_junction", None)
    return bool(is_junction and is_junction())
