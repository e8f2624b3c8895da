"""Several models at once, within a memory budget, reloaded when their files change.

A name is looked up among the known models, never on the disk, so no request can name a path. A
`Generator` that was handed out stays valid: unloading, replacing or removing a model only drops
the pool's own reference to it.
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
"""`Unloaded`: evicted for others; the next `get` loads it again."""

WATCH_SECONDS = 1.0
"""Between two looks at the folders."""
RETRY_SECONDS = 10.0
"""After a first failure to load a model; doubled after each further one."""
MAX_RETRY_SECONDS = 600.0

Fingerprint = tuple[tuple[str, int, int, int], ...]
"""Name, inode, size and modification time of each file; another one means another model."""

logger = logging.getLogger("textwright")


@dataclass(frozen=True)
class ModelStatus:
    """Whether a model can be used at once."""

    status: Status
    reason: str | None = None
    """Why it is not loaded, where that is so."""


@dataclass(eq=False)
class _Entry:
    name: str
    run: Run
    fingerprint: Fingerprint
    generator: Generator | None = None
    reason: str | None = None
    size: int = 0
    """Bytes of its weights: of the file until it was loaded once, then of the memory they take."""
    failures: int = 0
    """In a row."""
    failed_at: float = 0.0
    """Of the last failure, by `time.monotonic`."""
    last_used: float = 0.0
    """By `time.monotonic`."""
    considered: bool = False
    """Whether `load_all` has had its turn with it: loaded, failed, or without memory for it."""
    loading: bool = False
    added_at: float = field(default_factory=time.time)


class ModelPool:
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
            memory: bytes of weights at most; a model larger than that is loaded alone.
            loader: loads a run.

        Raises:
            RunError: there is no such folder.
        """
        self.folder = None if folder is None else Path(folder)
        if self.folder is not None and not self.folder.is_dir():
            raise RunError(f"no folder {folder}; name one that holds runs or model folders")
        self._named = list(named)
        self._added: dict[str, Run] = {}
        self._memory = memory
        self._loader = loader
        self._entries: dict[str, _Entry] = {}
        self._last_fingerprints: dict[str, Fingerprint] | None = None
        self._loading = threading.Lock()  # one load at a time: they share the budget
        self._closing = threading.Event()
        self._watcher: threading.Thread | None = None
        self.refresh()

    @property
    def statuses(self) -> dict[str, ModelStatus]:
        """Every known model, by name."""
        # A copy, which nobody changes: the folder's renewal removes names meanwhile
        return {name: _status(entry) for name, entry in dict(self._entries).items()}

    def names(self) -> list[str]:
        """Of the models that haven't failed."""
        return [name for name, entry in dict(self._entries).items() if entry.reason is None]

    def add(self, run: Run) -> None:
        """Make `run` one of the `named` models; the next `refresh` finds it."""
        place = run.path.resolve()
        in_folder = self.folder is not None and place.parent == self.folder.resolve()
        if not in_folder and all(place != named.path.resolve() for named in self._named):
            self._named.append(run)

    def added_at(self, name: str) -> int:
        """When the model became known, in seconds since 1970.

        Raises:
            UnknownModelError, ModelUnavailableError: there is none, or it can't be used.
        """
        return int(self._find(name).added_at)

    def run(self, name: str) -> Run:
        """The folder of the model `name`.

        Raises:
            UnknownModelError, ModelUnavailableError: there is none, or it can't be used.
        """
        return self._find(name).run

    def get_loaded(self, name: str) -> Generator | None:
        """The model `name` if it is loaded, else None; never waits for a load."""
        entry = self._find(name)
        entry.last_used = time.monotonic()
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

    def add_loaded(self, name: str, run: Run) -> Generator:
        """Load one more model, which is known until `remove`; no other is unloaded for it.

        Raises:
            ModelExistsError: there is one of this name.
            NoRoomError: it doesn't fit beside the others.
            ModelUnavailableError: it can't be loaded; the message says why.
        """
        with self._loading:
            if name in self._entries:
                raise ModelExistsError(f"model {name!r} is loaded already; unload it first")
            entry = _Entry(name, run, _fingerprint(run))
            full = f"model {name!r} has no room beside those that are loaded; unload one"
            if not self._fits(entry):
                raise NoRoomError(full)
            try:
                generator = self._load(entry, evicts=False)
            except ModelUnavailableError as error:
                if isinstance(error.__cause__, MemoryError):
                    raise NoRoomError(full) from error
                raise
            if not self._fits(entry):  # weights may take more memory than their file
                raise NoRoomError(full)
            self._added[name], self._entries[name] = run, entry
            return generator

    def remove(self, name: str) -> None:
        """Forget a model of `add_loaded`; a generator of it that is in use stays valid.

        Raises:
            UnknownModelError: none of this name was added.
        """
        with self._loading:
            if self._added.pop(name, None) is None:
                raise UnknownModelError(f"no model {name[:100]!r} is held")
            self._entries.pop(name, None)

    def load_all(self) -> None:
        """Load new models while there is memory; failures show in `statuses` and are retried."""
        for entry in list(self._entries.values()):
            with self._loading:
                if entry.considered and not _should_retry(entry):
                    continue
                entry.considered = True
                if self._fits(entry):
                    last_reason = entry.reason
                    try:
                        self._load(entry)
                    except ModelUnavailableError as error:
                        if entry.reason != last_reason:
                            logger.warning(str(error))

    def refresh(self) -> None:
        """Find models that are new, changed or gone in the folders.

        After the first call, files count that were the same in two calls: not still being copied.
        """
        found = {run.name: run for run in reversed(self._runs())}
        found = {name: run for name, run in found.items() if name not in self._added}
        fingerprints = {name: _fingerprint(run) for name, run in found.items()}
        first, last = self._last_fingerprints is None, self._last_fingerprints or {}
        named = {run.name for run in self._named}
        for name in [name for name in self._entries if name not in {*found, *self._added}]:
            logger.info(f"model {name!r} is gone")
            del self._entries[name]
        for name in sorted(found, key=lambda name: (name not in named, name)):
            entry, now = self._entries.get(name), fingerprints[name]
            if entry is None and (first or last.get(name) == now):
                self._entries[name] = _Entry(name, found[name], now)
            elif entry is not None and entry.fingerprint != now and last.get(name) == now:
                self._replace(entry, found[name], now)
        self._last_fingerprints = fingerprints

    def watch(self, seconds: float = WATCH_SECONDS) -> None:
        """In a thread, until `close`: `load_all`, then every `seconds` `refresh` and `load_all`."""

        def poll() -> None:
            self.load_all()
            while not self._closing.wait(seconds):
                try:
                    self.refresh()
                    self.load_all()
                except Exception:  # e.g. a disk that went away; it may come back
                    logger.exception("looking for models failed")

        self._watcher = threading.Thread(target=poll, name="textwright-models", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()
        if self._watcher is not None:
            self._watcher.join()

    def _runs(self) -> list[Run]:
        """The named ones, then those below the folder, by name."""
        return [*self._named, *(runs.list_models(self.folder) if self.folder else ())]

    def _find(self, name: str) -> _Entry:
        entry = self._entries.get(name)
        if entry is None:
            known = dict(self._entries)
            matches = [other for other in known if runs.name_key(other) == runs.name_key(name)]
            if not matches:
                hint = nearest(name, list(known)) if known else "; there are none"
                raise UnknownModelError(f"no model {name[:100]!r}{hint}")
            entry = known[matches[0]]
        if entry.reason is not None:
            raise ModelUnavailableError(f"model {entry.name!r} can't be used: {entry.reason}")
        return entry

    def _load(
        self, entry: _Entry, replaces: _Entry | None = None, *, evicts: bool = True
    ) -> Generator:
        """Load a model, or raise `ModelUnavailableError`; the caller holds `_loading`.

        Args:
            replaces: the entry that the caller will drop for this one; its memory counts as free.
            evicts: whether others may be unloaded for it.
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
            entry.size = generator.runtime.weight_bytes
            if evicts:
                self._make_room(entry, replaces)
            entry.generator, entry.last_used = generator, time.monotonic()
            return generator
        finally:
            entry.loading = False
        entry.failures, entry.failed_at = entry.failures + 1, time.monotonic()
        reason = f"model {entry.name!r} can't be used: {entry.reason}"
        raise ModelUnavailableError(reason) from cause

    def _fits(self, entry: _Entry) -> bool:
        """Whether the budget has memory for a model beside those that are loaded."""
        if self._memory is None:
            return True
        used = sum(other.size for other in self._loaded())
        return used == 0 or used + (entry.size or _file_size(entry.run)) <= self._memory

    def _make_room(self, entry: _Entry, replaces: _Entry | None) -> None:
        """Unload the least recently used models until `entry` fits."""
        while self._memory is not None:
            others = [other for other in self._loaded() if other is not replaces]
            if not others:
                break
            if sum(other.size for other in others) + entry.size <= self._memory:
                break
            oldest = min(others, key=lambda other: other.last_used)
            oldest.generator = None
            logger.info(f"model {oldest.name!r} made room for {entry.name!r}")

    def _loaded(self) -> Sequence[_Entry]:
        return [entry for entry in list(self._entries.values()) if entry.generator is not None]

    def _replace(self, entry: _Entry, run: Run, fingerprint: Fingerprint) -> None:
        """Exchange the entry of a model whose files changed; the old one serves during the load."""
        logger.info(f"model {entry.name!r} has changed")
        fresh = _Entry(entry.name, run, fingerprint)
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


def _should_retry(entry: _Entry) -> bool:
    """Whether the wait after a model's last failure is over."""
    wait = min(MAX_RETRY_SECONDS, RETRY_SECONDS * 2.0 ** (entry.failures - 1))
    return entry.reason is not None and time.monotonic() - entry.failed_at >= wait


def _file_size(run: Run) -> int:
    """Bytes of a model's weights on the disk; 0 without them: loading then raises the error."""
    try:
        return run.weights_file.stat().st_size
    except OSError:
        return 0


def _fingerprint(run: Run) -> Fingerprint:
    parts = []
    for file in run.model_files:
        if file == run.card_file:  # for readers alone
            continue
        try:
            stat = file.stat()
        except OSError:
            continue
        parts.append((file.name, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(parts)
