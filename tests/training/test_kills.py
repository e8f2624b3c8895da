"""Real processes, killed at random moments, interrupted, out of disk: nothing is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from textwright.runs import Run

pytestmark = pytest.mark.slow

STEPS = 500
SHAPES = {
    "lstm": ["model.hidden_size=48", "model.embedding_size=16"],
    "gpt": ["model.hidden_size=32", "model.num_heads=1", "model.num_layers=2"],
}


def command(corpus: Path, name: str, family: str, *more: str) -> list[str]:
    words = [sys.executable, "-m", "textwright", "train", str(corpus), "--name", name]
    words += ["--model", family, "--steps", str(STEPS), "--eval-every", "60"]
    words += ["--checkpoint-every", "25", "--json"]
    settings = [*SHAPES[family], "model.block_size=16", "model.dropout=0.1"]
    settings += ["training.batch_size=8", "training.ema_decay=0.9", "training.threads=1"]
    for setting in settings:
        words += ["--set", setting]
    return [*words, *more]


def start(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_training(process: subprocess.Popen[str], run: Run, step: int = 0) -> None:
    """Until a checkpoint of at least `step` lies on the disk, or the process has ended."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        checkpoints = run.checkpoints()
        if checkpoints and checkpoints[0][0] >= step:
            return
        time.sleep(0.005)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, str], Run]:
    """The run of a family, from a text, that nothing came between."""
    runs = tmp_path_factory.mktemp("undisturbed")

    def of(text: Path, family: str) -> Run:
        if not (runs / family).exists():
            words = command(text, family, family, "--runs", str(runs))
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            last = json.loads(done.stdout.splitlines()[-1])
            assert set(last) >= {"run", "val_loss", "seconds"}
        return Run(runs / family)

    return of


@pytest.mark.parametrize("family", ["lstm", "gpt"])
def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    family: str, undisturbed: Callable[[Path, str], Run], text_file: Path, tmp_path: Path
) -> None:
    whole, killed = undisturbed(text_file, family), Run(tmp_path / "runs" / "killed")
    chance = random.Random()
    kills: list[int] = []
    words = command(text_file, "killed", family)
    for _ in range(12):
        process = start(words)
        if len(kills) < 3:
            # Once it has got further than before, so that each kill meets a run at work
            wait_for_training(process, killed, (kills[-1] if kills else -1) + 1)
            time.sleep(chance.uniform(0, 0.5))
            process.send_signal(signal.SIGKILL)
        _, problem = process.communicate(timeout=120)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, problem
        kills.append(killed.checkpoints()[0][0] if killed.checkpoints() else -1)
        words = command(text_file, "killed", family, "--resume")
    assert process.returncode == 0 and kills, kills
    print("killed when the last checkpoint was of step", kills)
    for file in ("model.safetensors", "config.json", "tokenizer.json", "samples.jsonl"):
        assert (killed.path / file).read_bytes() == (whole.path / file).read_bytes(), (file, kills)
    assert [record["step"] for record in killed.metrics()] == [
        record["step"] for record in whole.metrics()
    ]
    assert not [p for p in killed.path.rglob("*") if p.name.endswith(".partial")]


def test_killed_while_it_starts_it_can_be_begun_again(text_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    chance = random.Random(3)
    words = command(text_file, "early", "lstm")
    for _ in range(4):
        process = start(words)
        while process.poll() is None and not (folder / "early").exists():
            time.sleep(0.0005)
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        process.communicate()
        words = command(text_file, "early", "lstm", "--resume")
    assert subprocess.run(words, check=False, capture_output=True).returncode == 0
    assert Run(folder / "early").metrics()[-1]["step"] == STEPS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_saves_and_says_how_to_go_on(
    number: signal.Signals, text_file: Path, tmp_path: Path
) -> None:
    words = command(text_file, "stopped", "lstm", "--set", "training.patience=0")
    words[words.index(str(STEPS))] = "100000"
    words[words.index("--json")] = "--lowercase"  # a run as a person has it, without --json
    process = start(words)
    run = Run(tmp_path / "runs" / "stopped")
    wait_for_training(process, run, 25)
    process.send_signal(number)
    told, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopping: saving a checkpoint first" in said
    assert "textwright train --name stopped --resume" in told
    assert run.settings()["result"]["status"] == "interrupted"
    assert run.checkpoints()[0][0] == run.settings()["result"]["steps"] > 0
    assert run.report_file.is_file()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_is_one_line_and_the_run_goes_on_after(
    undisturbed: Callable[[Path, str], Run], text_file: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1600k", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("this machine doesn't let a test mount a small disk")
    try:
        words = command(text_file, "full", "lstm", "--runs", str(disk))
        words += ["--set", "training.keep_checkpoints=50"]
        process = start(words)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 1
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1 and "Traceback" not in said
        assert "no space left on the disk" in errors[0] and "--resume" in errors[0]
        steps = [step for step, _ in Run(disk / "full").checkpoints()]
        assert steps and steps[0] > 0
        roomy = tmp_path / "roomy"
        shutil.copytree(disk / "full", roomy / "full")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    words[words.index("--runs") + 1] = str(roomy)
    subprocess.run([*words, "--resume"], check=True, capture_output=True)
    whole = undisturbed(text_file, "lstm")
    assert Run(roomy / "full").weights_file.read_bytes() == whole.weights_file.read_bytes()


def test_two_processes_do_not_train_one_run(text_file: Path, tmp_path: Path) -> None:
    words = command(text_file, "busy", "lstm")
    words[words.index(str(STEPS))] = "100000"
    process = start(words)
    try:
        wait_for_training(process, Run(tmp_path / "runs" / "busy"), 25)
        other = subprocess.run([*words, "--resume"], check=False, capture_output=True, text=True)
        assert other.returncode == 2
        assert "is being trained by another process" in other.stderr
    finally:
        process.kill()
        process.communicate()
