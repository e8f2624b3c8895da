"""Real processes, killed at random moments, interrupted, out of disk: nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from crew import Crew, Ended
from textwright.runs import Run

pytestmark = pytest.mark.slow

STEPS = 200
SHAPES = {
    "lstm": ["model.hidden_size=48", "model.embedding_size=16"],
    "gpt": ["model.hidden_size=32", "model.num_heads=1", "model.num_layers=2"],
}


def command(corpus: Path, name: str, family: str, *more: str) -> list[str]:
    words = ["train", str(corpus), "--name", name]
    words += ["--model", family, "--steps", str(STEPS), "--eval-every", "40"]
    words += ["--checkpoint-every", "10", "--json"]
    settings = [*SHAPES[family], "model.block_size=16", "model.dropout=0.1"]
    settings += ["training.batch_size=8", "training.ema_decay=0.9", "training.threads=1"]
    for setting in settings:
        words += ["--set", setting]
    return [*words, *more]


def train(crew: Crew, words: list[str]) -> Ended:
    """To the end, in a process of its own."""
    (ended,) = crew.run(1, words)
    return ended


def wait_for_training(pid: int, run: Run, step: int = 0) -> None:
    """Until a checkpoint of at least `step` lies on the disk, or the process has ended."""
    deadline = time.monotonic() + 200
    while alive(pid) and time.monotonic() < deadline:
        checkpoints = run.checkpoints()
        if checkpoints and checkpoints[0][0] >= step:
            return
        time.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether it is there and runs."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def undisturbed(crew: Crew, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, str], Run]:
    """The run of a family, from a text, that nothing came between."""
    runs = tmp_path_factory.mktemp("undisturbed")

    def of(text: Path, family: str) -> Run:
        if not (runs / family).exists():
            done = train(crew, command(text, family, family, "--runs", str(runs)))
            assert done.returncode == 0, done.stderr
            last = json.loads(done.stdout.splitlines()[-1])
            assert set(last) >= {"run", "val_loss", "seconds"}
        return Run(runs / family)

    return of


@pytest.mark.parametrize("family", ["lstm", "gpt"])
def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    family: str,
    crew: Crew,
    undisturbed: Callable[[Path, str], Run],
    text_file: Path,
    tmp_path: Path,
) -> None:
    whole, killed = undisturbed(text_file, family), Run(tmp_path / "runs" / "killed")
    chance = random.Random()
    kills: list[int] = []
    words = command(text_file, "killed", family)
    for _ in range(12):
        crew.start(1, words)
        (pid,) = crew.pids
        if len(kills) < 3:
            # Once it has got further than before, so that each kill meets a run at work
            wait_for_training(pid, killed, (kills[-1] if kills else -1) + 1)
            time.sleep(chance.uniform(0, 0.2))
            kill(pid)
        (ended,) = crew.wait()
        if ended.returncode == 0 and kills:
            break
        if ended.returncode == 0:  # it was done before this process got to kill it
            killed.remove()
            continue
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        kills.append(killed.checkpoints()[0][0] if killed.checkpoints() else -1)
        words = command(text_file, "killed", family, "--resume")
    assert ended.returncode == 0 and kills, kills
    print("killed when the last checkpoint was of step", kills)
    for file in ("model.safetensors", "config.json", "tokenizer.json", "samples.jsonl"):
        assert (killed.path / file).read_bytes() == (whole.path / file).read_bytes(), (file, kills)
    assert [record["step"] for record in killed.metrics()] == [
        record["step"] for record in whole.metrics()
    ]
    assert not [p for p in killed.path.rglob("*") if p.name.endswith(".partial")]


def test_killed_while_it_starts_it_can_be_begun_again(
    crew: Crew, text_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "runs"
    chance = random.Random(3)
    words = command(text_file, "early", "lstm")
    for _ in range(4):
        crew.start(1, words)
        (pid,) = crew.pids
        while alive(pid) and not (folder / "early").exists():
            time.sleep(0.0005)
        time.sleep(chance.uniform(0, 0.02))
        kill(pid)
        crew.wait()
        words = command(text_file, "early", "lstm", "--resume")
    assert train(crew, words).returncode == 0
    assert Run(folder / "early").metrics()[-1]["step"] == STEPS


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU"])
def test_a_stop_signal_saves_and_says_how_to_go_on(
    name: str, crew: Crew, text_file: Path, tmp_path: Path
) -> None:
    words = command(text_file, "stopped", "lstm", "--set", "training.patience=0")
    words[words.index(str(STEPS))] = "100000"
    words[words.index("--json")] = "--lowercase"  # a run as a person has it, without --json
    crew.start(1, words)
    (pid,) = crew.pids
    run = Run(tmp_path / "runs" / "stopped")
    wait_for_training(pid, run, 25)
    os.kill(pid, getattr(signal, name))
    (ended,) = crew.wait()
    assert ended.returncode == 130
    assert "stopping: saving a checkpoint first" in ended.stderr
    assert "textwright train --name stopped --resume" in ended.stdout
    assert run.settings()["result"]["status"] == "interrupted"
    assert run.checkpoints()[0][0] == run.settings()["result"]["steps"] > 0
    assert run.report_file.is_file()


def seldom_saved(corpus: Path, name: str) -> list[str]:
    """A training that saves at its beginning and where it is stopped."""
    words = command(corpus, name, "lstm", "--set", "training.patience=0")
    for option, value in (("--steps", "100000"), ("--eval-every", "90000"),
                          ("--checkpoint-every", "90000")):  # fmt: skip
        words[words.index(option) + 1] = value
    return words


def wait_for_steps(run: Run) -> None:
    """Until some steps are done that no checkpoint holds."""
    deadline = time.monotonic() + 200
    while not run.checkpoints() and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.5)


@pytest.mark.parametrize("pause", [0.0, 0.02, 0.3])
def test_ctrl_c_twice_within_a_moment_saves(
    pause: float, crew: Crew, text_file: Path, tmp_path: Path
) -> None:
    crew.start(1, seldom_saved(text_file, "twice"))
    (pid,) = crew.pids
    run = Run(tmp_path / "runs" / "twice")
    wait_for_steps(run)
    for _ in range(3):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        time.sleep(pause)
    (ended,) = crew.wait()
    assert ended.returncode == 130 and "Traceback" not in ended.stderr
    assert run.settings()["result"]["status"] == "interrupted"
    assert run.checkpoints()[0][0] == run.settings()["result"]["steps"] > 0


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such terminals")
@pytest.mark.parametrize("ignored", [False, True])
def test_a_terminal_that_closes_is_a_stop_but_under_nohup(
    ignored: bool, text_file: Path, tmp_path: Path
) -> None:
    import pty

    words = seldom_saved(text_file, "closed")
    words.remove("--json")
    pid, terminal = pty.fork()
    if pid == 0:
        # nohup ignores it, for the tests too where they run under it
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
        if ignored:
            output = os.open(tmp_path / "nohup.out", os.O_WRONLY | os.O_CREAT)
            os.dup2(output, 1)
            os.dup2(output, 2)
        os.execv(sys.executable, [sys.executable, "-m", "textwright", *words])
    run = Run(tmp_path / "runs" / "closed")
    deadline = time.monotonic() + 200
    until = deadline
    while time.monotonic() < until:  # somebody looks at it
        if select.select([terminal], [], [], 0.05)[0]:
            os.read(terminal, 1 << 16)
        if run.checkpoints():
            until = min(until, time.monotonic() + 1)
    os.close(terminal)
    if ignored:
        time.sleep(1)
        os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    result = run.settings()["result"]
    assert result["status"] == "interrupted"
    assert run.checkpoints()[0][0] == result["steps"] > 0
    if ignored:
        assert "stopping: saving" in (tmp_path / "nohup.out").read_text()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_is_one_line_and_the_run_goes_on_after(
    crew: Crew, undisturbed: Callable[[Path, str], Run], text_file: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("this machine doesn't let a test mount a small disk")
    try:
        words = command(text_file, "full", "lstm", "--runs", str(disk))
        words += ["--set", "training.keep_checkpoints=50"]
        ended = train(crew, words)
        assert ended.returncode == 1
        errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1 and "Traceback" not in ended.stderr
        assert "no space left on the disk" in errors[0] and "--resume" in errors[0]
        steps = [step for step, _ in Run(disk / "full").checkpoints()]
        assert steps and steps[0] > 0
        roomy = tmp_path / "roomy"
        shutil.copytree(disk / "full", roomy / "full")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    words[words.index("--runs") + 1] = str(roomy)
    assert train(crew, [*words, "--resume"]).returncode == 0
    whole = undisturbed(text_file, "lstm")
    assert Run(roomy / "full").weights_file.read_bytes() == whole.weights_file.read_bytes()


def test_two_processes_do_not_train_one_run(crew: Crew, text_file: Path, tmp_path: Path) -> None:
    words = command(text_file, "busy", "lstm")
    words[words.index(str(STEPS))] = "100000"
    crew.start(1, words)
    (pid,) = crew.pids
    try:
        wait_for_training(pid, Run(tmp_path / "runs" / "busy"), 25)
        other = subprocess.run(
            [sys.executable, "-m", "textwright", *words, "--resume"],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert other.returncode == 2
        assert "is being trained by another process" in other.stderr
    finally:
        kill(pid)
        crew.wait()
