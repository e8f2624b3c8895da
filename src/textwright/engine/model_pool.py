"""Several models at once, within a memory budget, kept in step with the folders they come from.

A name is looked up among the models that are known, never on the disk. Whoever has a model keeps
it: what is unloaded, replaced or deleted here lives on until its last user is done.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from textwright import runs
from textwright.configs import nearest
from textwright.errors import (
    ModelExistsError,
    ModelUnavailableError,
    NoRoomError,
    RunError,
    TextwrightError,
    UnknownModelError,
)
from textwright.generation.generator import Generator
from textwright.generation.loading import load
from textwright.runs import Run

Status = Literal["Loaded", "Unloaded", "Loading", "Failed"]
"""`Unloaded`: it made room for others, and is loaded again when asked for."""

WATCH_SECONDS = 1.0
RETRY_SECONDS = 10.0
"""After which a model that couldn't be loaded is tried again, since the cause may have passed; each
time twice as long, up to …"""
RETRY_AT_MOST = 600.0

Mark = tuple[tuple[str, int, int, int], ...]
"""What shows that a model's files have changed: name, inode, size and time of each."""

logger = logging.getLogger("textwright")


@dataclass(frozen=True)
class ModelStatus:
    """How a model is."""

    status: Status
    reason: str | None = None
    """Why it is not loaded, where that is so."""


@dataclass(eq=False)
class _Entry:
    name: str
    run: Run
    mark: Mark
    pinned: bool
    generator: Generator | None = None
    reason: str | None = None
    size: int = 0
    """Bytes of its weights: of the file, until it was loaded once, then of what is held."""
    failures: int = 0
    failed: float = 0.0
    """When it was last tried in vain."""
    used: float = 0.0
    considered: bool = False
    """Whether it was loaded once, or there was no room for it."""
    loading: bool = False
    since: float = field(default_factory=time.time)


class Library:
    """Known models by name; may be used from any thread."""

    def __init__(
        self,
        named: Iterable[Run] = (),
        folder: str | Path | None = None,
        *,
        memory: int | None = None,
        loader: Callable[[Run], Generator] = load,
    ) -> None:
        """
        Args:
            named: models that are always part of it; of two of one name, the first.
            folder: a folder whose models come and go, too.
            memory: bytes of weights to hold at most; a model larger than that is held alone.
            loader: gives a run's generator.

        Raises:
            RunError: there is no such folder.
        """
        self.folder = None if folder is None else Path(folder)
        if self.folder is not None and not self.folder.is_dir():
            raise RunError(f"no folder {folder}; name one that holds runs or model folders")
        self._named = list(named)
        self._held: dict[str, Run] = {}
        self._memory = memory
        self._loader = loader
        self._entries: dict[str, _Entry] = {}
        self._seen: dict[str, Mark] | None = None
        self._loading = threading.Lock()  # one load at a time: they share the budget
        self._end = threading.Event()
        self._watcher: threading.Thread | None = None
        self.refresh()

    @property
    def statuses(self) -> dict[str, ModelStatus]:
        """Every known model, by name."""
        return {name: _status(self._entries[name]) for name in list(self._entries)}

    def names(self) -> list[str]:
        """Of the models that can be asked for."""
        return [name for name, entry in list(self._entries.items()) if entry.reason is None]

    def add(self, run: Run) -> None:
        """Let `run` be always part of it, as those that were named; the watch finds it soon."""
        place = run.path.resolve()
        followed = self.folder is not None and place.parent == self.folder.resolve()
        if not followed and all(place != named.path.resolve() for named in self._named):
            self._named.append(run)

    def since(self, name: str) -> int:
        """Since when a model is known, in seconds since 1970.

        Raises:
            UnknownModelError, ModelUnavailableError: there is none, or it can't be used.
        """
        return int(self._find(name).since)

    def run(self, name: str) -> Run:
        """Where the model `name` lies.

        Raises:
            UnknownModelError, ModelUnavailableError: there is none, or it can't be used.
        """
        return self._find(name).run

    def get_loaded(self, name: str) -> Generator | None:
        """As `get`, but None where that would take a while."""
        entry = self._find(name)
        entry.used = time.monotonic()
        return entry.generator

    def get(self, name: str) -> Generator:
        """The model `name`, loaded if need be; `-` and `_` are the same where none is called so.

        Raises:
            UnknownModelError: there is none.
            ModelUnavailableError: it can't be loaded; the message says why.
        """
        found = self.get_loaded(name)
        if found is not None:
            return found
        with self._loading:
            entry = self._find(name)
            return entry.generator or self._load(entry)

    def hold(self, name: str, run: Run) -> Generator:
        """Load one more model, which stays until `release`; none makes room for it.

        Raises:
            ModelExistsError: there is one of this name.
            NoRoomError: it doesn't fit beside the others.
            ModelUnavailableError: it can't be loaded; the message says why.
        """
        with self._loading:
            if name in self._entries:
                raise ModelExistsError(f"model {name!r} is loaded already; unload it first")
            entry = _Entry(name, run, _mark(run), pinned=True)
            full = f"model {name!r} has no room beside those that are loaded; unload one"
            if not self._room_for(entry):
                raise NoRoomError(full)
            try:
                generator = self._load(entry, evicts=False)
            except ModelUnavailableError as error:
                if isinstance(error.__cause__, MemoryError):
                    raise NoRoomError(full) from error
                raise
            if not self._room_for(entry):  # it takes more than its file does
                raise NoRoomError(full)
            self._held[name], self._entries[name] = run, entry
            return generator

    def release(self, name: str) -> None:
        """Forget a model that is held; whoever uses it goes on.

        Raises:
            UnknownModelError: none of this name is held.
        """
        with self._loading:
            if self._held.pop(name, None) is None:
                raise UnknownModelError(f"no model {name[:100]!r} is held")
            self._entries.pop(name, None)

    def load_all(self) -> None:
        """Load what is new, as far as there is room; failures show in `statuses`, and are tried
        again later."""
        for entry in list(self._entries.values()):
            with self._loading:
                if entry.considered and not _due(entry):
                    continue
                entry.considered = True
                if self._room_for(entry):
                    before = entry.reason
                    try:
                        self._load(entry)
                    except ModelUnavailableError as error:
                        if entry.reason != before:
                            logger.warning(str(error))

    def refresh(self) -> None:
        """Look at the folders once: what is new, changed or gone. Files still being written are
        left alone until they have stayed the same from one look to the next."""
        found = {run.name: run for run in reversed(self._runs())}
        found = {name: run for name, run in found.items() if name not in self._held}
        marks = {name: _mark(run) for name, run in found.items()}
        first, seen = self._seen is None, self._seen or {}
        pinned = {run.name for run in self._named}
        for name in [name for name in self._entries if name not in {*found, *self._held}]:
            logger.info(f"model {name!r} is gone")
            del self._entries[name]
        for name in sorted(found, key=lambda name: (name not in pinned, name)):
            entry, mark = self._entries.get(name), marks[name]
            if entry is None and (first or seen.get(name) == mark):
                self._entries[name] = _Entry(name, found[name], mark, name in pinned)
            elif entry is not None and entry.mark != mark and seen.get(name) == mark:
                self._replace(entry, found[name], mark)
        self._seen = marks

    def watch(self, seconds: float = WATCH_SECONDS) -> None:
        """Load everything and `refresh` every so often, in a thread of its own, until `close`."""

        def follow() -> None:
            self.load_all()
            while not self._end.wait(seconds):
                try:
                    self.refresh()
                    self.load_all()
                except Exception:  # e.g. a disk that went away: the next look may work
                    logger.exception("looking for models failed")

        self._watcher = threading.Thread(target=follow, name="textwright-models", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Stop watching."""
        self._end.set()
        if self._watcher is not None:
            self._watcher.join()

    def _runs(self) -> list[Run]:
        """The named ones first; a folder's count where a file of a model is in them."""
        folder: list[Run] = []
        if self.folder is not None and self.folder.is_dir():
            try:
                entries = sorted(entry for entry in self.folder.iterdir() if entry.is_dir())
            except OSError:  # it was deleted just now
                entries = []
            folder = [run for run in map(Run, entries) if _is_model(run)]
        return [*self._named, *folder]

    def _find(self, name: str) -> _Entry:
        entry = self._entries.get(name)
        if entry is None:
            known = dict(self._entries)
            alike = [other for other in known if runs.same_name(other) == runs.same_name(name)]
            if not alike:
                hint = nearest(name, list(known)) if known else "; there are none"
                raise UnknownModelError(f"no model {name[:100]!r}{hint}")
            entry = known[alike[0]]
        if entry.reason is not None:
            raise ModelUnavailableError(f"model {entry.name!r} can't be used: {entry.reason}")
        return entry

    def _load(
        self, entry: _Entry, replaces: _Entry | None = None, *, evicts: bool = True
    ) -> Generator:
        """Load a model, in place of one that will be gone; the lock is held.

        Args:
            evicts: whether others make room for it.
        """
        entry.considered = entry.loading = True
        cause: Exception
        try:
            entry.size = entry.size or _file_size(entry.run)
            if evicts:
                self._make_room(entry, replaces)
            generator = self._loader(entry.run)
        except TextwrightError as error:
            cause, entry.reason = error, str(error)
        except Exception as error:
            if not entry.failures:
                logger.exception(f"loading model {entry.name!r} failed")
            cause, entry.reason = error, f"it can't be loaded ({type(error).__name__})"
        else:
            entry.reason, entry.failures = None, 0
            entry.size = generator.runtime.held_bytes
            if evicts:
                self._make_room(entry, replaces)
            entry.generator, entry.used = generator, time.monotonic()
            return generator
        finally:
            entry.loading = False
        entry.failures, entry.failed = entry.failures + 1, time.monotonic()
        reason = f"model {entry.name!r} can't be used: {entry.reason}"
        raise ModelUnavailableError(reason) from cause

    def _room_for(self, entry: _Entry) -> bool:
        """Whether a model fits beside those that are loaded."""
        if self._memory is None:
            return True
        held = sum(other.size for other in self._loaded())
        return held == 0 or held + (entry.size or _file_size(entry.run)) <= self._memory

    def _make_room(self, entry: _Entry, replaces: _Entry | None) -> None:
        """Unload those that were used longest ago."""
        while self._memory is not None:
            others = [other for other in self._loaded() if other is not replaces]
            if not others:
                break
            if sum(other.size for other in others) + entry.size <= self._memory:
                break
            oldest = min(others, key=lambda other: other.used)
            oldest.generator = None
            logger.info(f"model {oldest.name!r} made room for {entry.name!r}")

    def _loaded(self) -> Sequence[_Entry]:
        return [entry for entry in list(self._entries.values()) if entry.generator is not None]

    def _replace(self, entry: _Entry, run: Run, mark: Mark) -> None:
        """A model's files have changed: load it anew if it was loaded, which serves until then."""
        logger.info(f"model {entry.name!r} has changed")
        fresh = _Entry(entry.name, run, mark, entry.pinned, used=entry.used)
        with self._loading:
            if entry.generator is not None or entry.reason is not None:
                try:
                    self._load(fresh, replaces=entry)
                except ModelUnavailableError as error:
                    logger.warning(str(error))
            self._entries[entry.name] = fresh


def _status(entry: _Entry) -> ModelStatus:
    if entry.generator is not None:
        return ModelStatus("Loaded")
    if entry.reason is not None:
        return ModelStatus("Failed", entry.reason)
    if entry.loading or not entry.considered:
        return ModelStatus("Loading")
    return ModelStatus("Unloaded", "it made room for others; asking for it loads it")


def _due(entry: _Entry) -> bool:
    """Whether a model that couldn't be loaded is to be tried again."""
    wait = min(RETRY_AT_MOST, RETRY_SECONDS * 2.0 ** (entry.failures - 1))
    return entry.reason is not None and time.monotonic() - entry.failed >= wait


def _file_size(run: Run) -> int:
    """Bytes of a model's weights on the disk; 0 where there are none, which loading it tells."""
    try:
        return run.weights_file.stat().st_size
    except OSError:
        return 0


def _is_model(run: Run) -> bool:
    """Whether a folder is meant as a model, be it damaged; a training that has kept no weights yet
    is none."""
    files = (run.config_file, run.weights_file, run.tokenizer_file)
    if run.lock_file.exists() and not run.weights_file.exists():
        return False
    return not run.name.startswith(".") and any(file.is_file() for file in files)


def _mark(run: Run) -> Mark:
    mark = []
    for file in run.model_files:
        if file == run.card_file:  # says nothing that matters here
            continue
        try:
            stat = file.stat()
        except OSError:
            continue
        mark.append((file.name, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(mark)
