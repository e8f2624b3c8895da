"""Whether a run is being trained can be asked at any time, and no training that starts notices."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import filelock
import pytest

from textwright.errors import RunError, TextwrightError
from textwright.runs import Run, is_training, training_lock

ASK = """
import sys, threading
from pathlib import Path
from textwright.runs import Run, is_training
run, over = Run(Path(sys.argv[1])), threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set())).start()
print(flush=True)
held = asked = 0
while not over.is_set():
    held += is_training(run)
    asked += 1
print(held, asked)
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "prose")
    run.path.mkdir()
    return run


@contextmanager
def asking(run: Run, processes: int) -> Iterator[list[tuple[int, int]]]:
    """Processes that ask all the time; in the end, how often each was told yes, of how often."""
    words, pipe = [sys.executable, "-c", ASK, str(run.path)], subprocess.PIPE
    told: list[tuple[int, int]] = []
    with ExitStack() as stack:
        all_of_them = [
            stack.enter_context(subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True))
            for _ in range(processes)
        ]
        for process in all_of_them:
            assert process.stdout is not None
            process.stdout.readline()
        try:
            yield told
        finally:
            for process in all_of_them:
                held, asked = process.communicate()[0].split()
                told.append((int(held), int(asked)))


def test_trainings_start_while_others_ask(run: Run) -> None:
    with asking(run, 2) as told:
        for _ in range(300):
            with training_lock(run):
                assert is_training(run)
    assert all(asked > 0 for _, asked in told)
    assert not run.lock_file.exists()


def test_who_asks_is_not_taken_for_a_training(run: Run) -> None:
    run.lock_file.touch()  # as a training leaves it that is killed
    with asking(run, 2) as told:
        assert not any(is_training(run) for _ in range(2000))
    assert all(held == 0 < asked for held, asked in told)
    assert run.lock_file.exists()


def test_only_one_of_many_starts_is_granted(run: Run) -> None:
    inside, most, granted = 0, 0, 0
    lock = threading.Lock()

    def train() -> None:
        nonlocal inside, most, granted
        for _ in range(30):
            try:
                with training_lock(run):
                    with lock:
                        inside, granted = inside + 1, granted + 1
                        most = max(most, inside)
                    with lock:
                        inside -= 1
            except RunError:  # somebody was quicker, for as long as it is tried
                pass

    with asking(run, 1):
        starts = [threading.Thread(target=train) for _ in range(3)]
        for start in starts:
            start.start()
        for start in starts:
            start.join()
    assert most == 1 < granted


def test_a_second_start_is_refused_while_the_first_trains(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textwright.runs.folder.LOCK_TIMEOUT", 0.1)
    holder = filelock.FileLock(run.lock_file)
    with (
        holder,
        pytest.raises(RunError, match="being trained by another process"),
        training_lock(run),
    ):
        pass
    with training_lock(run):
        assert is_training(run)
    assert not is_training(run)


def test_a_folder_that_takes_no_lock_says_so(run: Run) -> None:
    run.lock_file.mkdir()
    with pytest.raises(TextwrightError, match="can't be written"), training_lock(run):
        pass
