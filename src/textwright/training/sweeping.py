"""Sweeps: several trainings of one text side by side, the hopeless ones stopped early.

A sweep is a folder of trials, each a run, with `sweep.json` (what was asked for), a log for each
trial, and `sweep.html`. Nothing else is kept: who goes on at a rung follows from the trials' own
metrics, so a sweep that was stopped, or killed, goes on by doing the same again.
"""

from __future__ import annotations

import json
import math
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from textwright import atomic, machine, runs, torchrun
from textwright.data.corpus import DEFAULT, STANDARD_INPUT, absolute_source
from textwright.data.sources.resolve import check_exists
from textwright.errors import RequestError, RunError, TrainingError
from textwright.reporting import name_run
from textwright.runs import Run
from textwright.training.loop.stopping import stop_signals
from textwright.training.sweep_workers import Workers, sweep_workers
from textwright.training.sweeps import FOLDER, Sweep, Trial, free_name, load_sweep
from textwright.training.trial_process import TrialProcess, has_reached, is_over
from textwright.training.trials import (
    MEASURES,
    Rung,
    Values,
    as_typed,
    bits_at,
    check_trial,
    combinations,
    trial_names,
)


def sweep(
    *corpus: str | Path,
    tries: Mapping[str, Sequence[Any]] | None = None,
    fixed: Mapping[str, Any] | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    name: str | None = None,
    runs_folder: str | Path | None = None,
    jobs: int | None = None,
    resume: bool = False,
    changed: Callable[[Sweep], None] = lambda sweep: None,
) -> Sweep:
    """Train one text with every combination of values, and keep the best.

    Args:
        corpus: as of `textwright.train`, but standard input.
        tries: by name, the values to try: options of `textwright train` (`size`, `model`, …, see
            `trials.OPTIONS`) or any setting by its dotted name.
        fixed: by the same names, what holds for all trials.
        minutes: of the whole sweep; 20 where nothing is said.
        steps: in place of `minutes`, exactly so many of each trial that is trained to its end.
        name: of the run that the winner becomes; its trials lie in `NAME-sweep` beside it.
        runs_folder: where runs live; None takes `$TEXTWRIGHT_RUNS`, else `runs`.
        jobs: trials side by side, of each worker where torchrun started several; by default as
            many as there are cores, which they share.
        resume: go on with the sweep `name`, or the last one; nothing else need be said again.
        changed: called from several threads, whenever a trial has a new number or state.

    Returns:
        The sweep, with `winner`; with `interrupted` where Ctrl-C stopped it.

    Raises:
        RequestError: a name or a value is wrong; nothing was trained.
        TrainingError: every trial failed.

    Where `torchrun` started several processes, all of them call this; the first one's arguments
    count, and the folder of runs is one that all see.
    """
    with sweep_workers() as workers:
        found = None
        if workers.rank == 0 and resume:
            found = load_sweep(name, runs_folder)
        elif workers.rank == 0:
            found = plan_sweep(
                *corpus, tries=tries or {}, fixed=fixed, minutes=minutes, steps=steps, name=name,
                runs_folder=runs_folder, jobs=jobs,
            )  # fmt: skip
            _check_new(found, named=name is not None)
            found.folder.mkdir(parents=True)
            found.save()
        name = workers.broadcast(found and found.name)
        if found is None:
            found = _seen(name, runs_folder, workers.rank)
        run_sweep(found, changed, workers)
        return found


def plan_sweep(
    *corpus: str | Path,
    tries: Mapping[str, Sequence[Any]],
    fixed: Mapping[str, Any] | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    name: str | None = None,
    runs_folder: str | Path | None = None,
    jobs: int | None = None,
) -> Sweep:
    """The sweep that `sweep` would run; trains nothing, writes nothing.

    Raises:
        RequestError: as `sweep`.
    """
    if minutes is not None and steps is not None:
        raise RequestError("--minutes and --steps: take one of them")
    if minutes is None and steps is None:
        minutes = 20.0
    if minutes is not None and not math.isfinite(minutes):
        raise RequestError(f"--minutes {minutes:g}: write a number")
    if steps is not None and steps < 1:
        raise RequestError(f"--steps {steps}: take 1 or more")
    if jobs is not None and jobs < 1:
        raise RequestError(f"--jobs {jobs}: take 1 or more")
    sources = [str(source) for source in corpus]
    if STANDARD_INPUT in sources:
        raise RequestError("standard input can be read once, and a sweep reads it for each trial; "
                           "write it to a file and name that")  # fmt: skip
    for source in sources:
        check_exists(source)
    typed, same = _values(tries, fixed or {})
    trials = combinations(typed)
    root = runs.runs_folder(runs_folder)
    for values in trials:
        check_trial(sources, values, same, root)
    stem = name or runs.name_from(Path(sources[0]).stem if sources else DEFAULT)
    if name is not None:
        runs.check_name(name)
    else:
        stem = free_name(stem, root)
    folder = root / f"{stem}{FOLDER}"
    workers, cores = torchrun.world_size(), _cores()
    jobs = min(len(trials), workers * (jobs or cores))
    planned = Sweep(
        folder, stem, [absolute_source(source) for source in sources], same, minutes, steps, jobs,
        max(1, cores // math.ceil(jobs / workers)),
        [Trial(Run(folder / each), values)
         for each, values in zip(trial_names(trials), trials, strict=True)],
    )  # fmt: skip
    _ = planned.seconds_each  # named before the work, where it is too little
    return planned


def _values(
    tries: Mapping[str, Sequence[Any]], fixed: Mapping[str, Any]
) -> tuple[dict[str, list[str]], Values]:
    """What is tried and what is set, as typed.

    Raises:
        RequestError: a name is both, or can't be tried; the text to validate on isn't there.
    """
    typed = {key: [as_typed(value) for value in values] for key, values in tries.items()}
    same = {key: as_typed(value) for key, value in fixed.items()}
    if twice := typed.keys() & same.keys():
        raise RequestError(f"{min(twice)} is both tried and set; leave one of them out")
    if measures := MEASURES & typed.keys():
        first = min(measures)
        raise RequestError(f"--try {first}: trials are compared by the same part of one text; say "
                           f"it for all, --set {first}={typed[first][0]}")  # fmt: skip
    if "val" in same:
        check_exists(same["val"])
        same["val"] = absolute_source(same["val"])
    return typed, same


def _cores() -> int:
    """That a worker has."""
    return max(1, machine.cores() // torchrun.local_world_size())


def _seen(name: str, runs_folder: str | Path | None, rank: int) -> Sweep:
    """The sweep that the first worker has written, as another sees it."""
    try:
        return load_sweep(name, runs_folder)
    except RunError as error:
        raise RunError(
            f"worker {rank} doesn't see sweep {name!r} of the first one in "
            f"{runs.runs_folder(runs_folder)}; give --runs a folder that all machines share"
        ) from error


def _check_new(found: Sweep, *, named: bool) -> None:
    if found.folder.exists():
        raise RequestError(f"sweep {found.name!r} is there already in {found.folder}; go on with "
                           "--resume, or choose another --name")  # fmt: skip
    if named:
        runs.check_free(found.name, found.folder.parent)


def run_sweep(
    found: Sweep, changed: Callable[[Sweep], None], workers: Workers | None = None
) -> None:
    """Train to the end, from wherever the trials are."""
    workers = workers or Workers()
    if found.winner is not None and found.winner.has_model():
        for trial in found.trials:
            if trial.reason is None:
                trial.state = "finished" if is_over(trial.run) else "stopped"
        if workers.rank == 0:
            found.save()  # its page may be gone, or another version's
        return
    alive = [trial for trial in found.trials if trial.reason is None]
    with stop_signals() as stop_requested:
        for rung in found.rungs:
            mine = workers.share(alive)
            _train_to(found, mine, rung.share, stop_requested, changed, workers)
            ended = workers.gather({one.run.name: (one.state, one.reason, _bits(one, rung.share))
                                    for one in mine})  # fmt: skip
            for trial in alive:
                trial.state, trial.reason, _ = ended[trial.run.name]
            found.interrupted = workers.any(stop_requested())
            if found.interrupted:
                break
            alive = _better(found, alive, rung, {name: bits for name, (*_, bits) in ended.items()})
            if workers.rank == 0:
                found.save()
            changed(found)
        if not found.interrupted and workers.rank == 0:
            found.winner = _adopt(found, alive)
    if workers.rank == 0:
        found.save()
    winner = workers.broadcast(found.winner and found.winner.name)
    found.winner = winner and Run(found.folder.parent / winner)
    changed(found)


def _train_to(
    found: Sweep,
    trials: Sequence[Trial],
    share: float,
    stop_requested: Callable[[], bool],
    changed: Callable[[Sweep], None],
    workers: Workers,
) -> None:
    """Train this worker's trials to a share of their plans, side by side; those that fail are
    marked. It ends when all workers are done."""
    processes: list[TrialProcess] = []
    stopping = threading.Event()

    def train(trial: Trial) -> None:
        if has_reached(trial.run, share):
            trial.state = "finished" if is_over(trial.run) else "paused"
            return
        with found.lock:
            if stopping.is_set():
                return
            log_file = found.folder / f"{trial.run.name}.log"
            process = TrialProcess(
                trial.run, found.words(trial), found.threads, log_file, workers.environment
            )
            processes.append(process)
        trial.state = "training"
        changed(found)
        try:
            process.train_to(share, lambda event: changed(found))
        except TrainingError as error:
            trial.state, trial.reason = "failed", str(error)
        else:
            trial.state = "finished" if is_over(trial.run) else "paused"
        changed(found)

    side_by_side = math.ceil(found.jobs / workers.count)
    with ThreadPoolExecutor(side_by_side, "textwright-trial") as pool:
        waiting: set[Future[None]] = {pool.submit(train, trial) for trial in trials}
        futures = list(waiting)
        try:
            while workers.any(bool(waiting)):
                _, waiting = wait(waiting, timeout=0.2)
                if workers.any(stop_requested()):
                    with found.lock:
                        stopping.set()
                    for process in processes:
                        process.interrupt()
        except BaseException:  # a second Ctrl-C
            with found.lock:
                stopping.set()
            for process in processes:
                process.kill()
            raise
    for future in futures:
        future.result()


def _better(
    found: Sweep, trials: Sequence[Trial], rung: Rung, bits: Mapping[str, float]
) -> list[Trial]:
    """The trials that go on after a rung: of those that didn't fail, the lowest bits a character
    at the same share; the first ones where they are equal.

    Raises:
        TrainingError: all have failed.
    """
    running = [trial for trial in trials if trial.reason is None]
    if not running:
        found.save()
        reasons = {trial.reason for trial in trials}
        raise TrainingError(f"every trial failed: {min(map(str, reasons))}; each has its log in "
                            f"{found.folder}")  # fmt: skip
    ranked = sorted(running, key=lambda trial: bits[trial.run.name])
    for trial in ranked[rung.keep :]:
        if trial.state != "finished":
            trial.state = "stopped"
    return ranked[: rung.keep]


def _bits(trial: Trial, share: float) -> float:
    summary = trial.summary
    steps = float(summary.section("plan").get("steps") or 1)
    if share == 1:
        at_end = summary.val_bits_per_char
        return float("inf") if at_end is None else at_end
    bits = bits_at(summary.metrics, share * steps)
    return float("inf") if bits is None else bits


def keep_trials(folder: Path, winner: Run) -> None:
    """Copy the trials of a sweep that was run elsewhere beside the run that came of it."""
    place = winner.path.parent / f"{winner.name}{FOLDER}"
    shutil.copytree(folder, place)
    file = place / "sweep.json"
    record = json.loads(file.read_text(encoding="utf-8"))
    names = {"name": winner.name, "winner": winner.name}
    atomic.write_text(file, json.dumps({**record, **names}, indent=2) + "\n")
    found = load_sweep(winner.name, winner.path.parent)
    run_sweep(found, lambda sweep: None)
    found.save()


def _adopt(found: Sweep, alive: Sequence[Trial]) -> Run:
    """Copy the winner to a run of its own, without checkpoints, under the sweep's name."""
    best = alive[0].run
    run = runs.create(None, found.name, found.folder.parent)
    with atomic.replacing(run.path) as partial:
        shutil.copytree(
            best.path, partial,
            ignore=shutil.ignore_patterns(best.checkpoints_folder.name, best.lock_file.name),
        )  # fmt: skip
    name_run(run)
    return run
