"""Opening models by name: one, or a folder of them."""

from __future__ import annotations

import threading
from pathlib import Path

from textwright import runs
from textwright.companion.mixing import Companion, with_companion
from textwright.configs import check_companion, hints, nearest
from textwright.errors import CorpusError, DownloadError, RunError
from textwright.generation.copying import BETWEEN, CopyGuard, check_copy_at_most
from textwright.generation.generator import Generator
from textwright.generation.options import read_generation_config
from textwright.runs import Run
from textwright.runs.weights import read_weights
from textwright.runtimes.registry import load_runtime
from textwright.tokenizers import Tokenizer


@hints
def load(
    reference: str | Path | Run,
    runs_folder: str | Path | None = None,
    *,
    precision: str = "auto",
    companion: str = "auto",
    copy_at_most: int | None = None,
) -> Generator:
    """A generator of a trained model.

    Args:
        reference: a run or model folder, a name under the runs folder, the name of a model that
            ships with the package, `hf:owner/name`, or a `Run`.
        runs_folder: where runs live; `$TEXTWRIGHT_RUNS` or `runs` where it is None.
        precision: of the weights in memory: `auto`, `float32`, `float16` or `int8`; see
            `load_runtime`.
        companion: `auto` mixes in what the run counted in its text, where it has that; `off`
            leaves the network alone.
        copy_at_most: the most characters in a row, of what the model writes, that may stand word
            for word in its training text, which has to be here; None sets no limit.

    Raises:
        RunError: there is no such run, it has no weights yet, or a file of it is damaged; with
            `copy_at_most` also where its training text is gone, has changed or isn't known.
        RequestError: there is no such precision, or no runtime here has it; or `companion` is
            neither.
    """
    run = reference if isinstance(reference, Run) else runs.find(str(reference), runs_folder)
    check_companion(companion)
    config = run.config()
    if not run.weights_file.is_file():
        raise RunError(_no_weights(run))
    try:
        tokenizer = Tokenizer.load(run)
        runtime = load_runtime(config, read_weights(run.weights_file), precision)
        if companion == "auto" and run.companion_file.is_file():
            beside = Companion.read(run.companion_file, config.vocab_size, tokenizer.vocabulary)
            runtime = with_companion(runtime, beside)
        defaults = read_generation_config(run)
        guard = None if copy_at_most is None else _guard(run, tokenizer, copy_at_most)
    except RunError as error:
        prefix = f"run {run.name!r}: "
        raise error if str(error).startswith("run ") else RunError(prefix + str(error)) from error
    name = run.name
    if str(reference).startswith("hf:"):  # the folder in the cache has the name of a commit
        name = str(reference).rsplit("/", 1)[-1]
    return Generator(runtime, tokenizer, name=name, defaults=defaults, run=run, guard=guard)


def _guard(run: Run, tokenizer: Tokenizer, copy_at_most: int) -> CopyGuard:
    """Raises `RunError` where the training text isn't here."""
    from textwright.data import training_corpus  # slow to import, and seldom needed

    check_copy_at_most(copy_at_most)
    try:
        part = training_corpus.find_training_corpus(run).train
    except (CorpusError, DownloadError, RunError) as error:
        reason = str(error).split("; ")[0]
        raise RunError(
            f"copy_at_most compares with its training text: {reason}; bring that back, or leave "
            "copy_at_most out"
        ) from error
    return CopyGuard(lambda: training_corpus.pieces(part, BETWEEN), tokenizer, copy_at_most)


def _no_weights(run: Run) -> str:
    if run.lock_file.exists() or run.checkpoints():
        return (
            f"run {run.name!r} has no model.safetensors yet: it comes with the first evaluation; "
            f"wait for it, or go on with training: {runs.resume_command(run)}"
        )
    return (
        f"run {run.name!r} has no model.safetensors: its training never got to an evaluation, "
        "or the folder was copied in part; train it again or copy it whole"
    )


class Models:
    """The models directly below a folder; each is loaded once, at its first use."""

    @hints
    def __init__(
        self, folder: str | Path, *, precision: str = "auto", companion: str = "auto"
    ) -> None:
        """
        Args:
            folder: holds runs or model folders.
            precision, companion: of all, as for `load`.

        Raises:
            RunError: there is no such folder.
        """
        self.folder = Path(folder)
        self.precision, self.companion = precision, companion
        if not self.folder.is_dir():
            raise RunError(f"no folder {folder}; name one that holds runs or model folders")
        self._loaded: dict[Path, Generator] = {}
        self._lock = threading.Lock()

    @property
    def available_models(self) -> list[str]:
        """The names of the models that have all their files, in order; reads the folder each
        time."""
        return [run.name for run in runs.list_models(self.folder) if run.has_model()]

    @property
    def broken_models(self) -> dict[str, str]:
        """Why a model can't be used, by name; loads those that aren't loaded yet."""
        reasons = {}
        for run in runs.list_models(self.folder):
            try:
                self.load_model(run.name)
            except RunError as error:
                reasons[run.name] = str(error)
        return reasons

    @hints
    def load_model(self, name: str) -> Generator:
        """The model `name`; without an exact match `-` and `_` are the same.

        Raises:
            RunError: there is none of this name, or it is damaged.
        """
        run = runs.match_run(name, runs.list_models(self.folder))
        if run is not None:
            with self._lock:
                if run.path not in self._loaded:
                    self._loaded[run.path] = load(
                        run, precision=self.precision, companion=self.companion
                    )
                return self._loaded[run.path]
        known = self.available_models
        hint = nearest(name, known) if known else "; there are none yet"
        raise RunError(f"no model {name!r} in {self.folder}{hint}")
