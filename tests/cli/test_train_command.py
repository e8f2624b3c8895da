"""`textwright train` as a process: blocks, JSON lines, a live terminal, plans and mistakes."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

SMALL = ["--model", "lstm", "--steps", "30", "--eval-every", "10"]
for setting in ("model.hidden_size=24", "model.block_size=16", "training.batch_size=4"):
    SMALL += ["--set", setting]


def textwright(*words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "textwright", *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done


def test_without_a_terminal_an_evaluation_is_a_plain_block(text_file: Path, tmp_path: Path) -> None:
    done = textwright("train", text_file, *SMALL, "--then", "generate", "--log", "tensorboard")
    blocks = re.findall(r"^epoch ([\d.]+)  step (\d+)/30 .*val_loss [\d.]+", done.stderr, re.M)
    assert [step for _, step in blocks] == ["0", "10", "20", "30"]
    assert done.stderr.count("\n  | ") >= 4  # every block has its sample
    assert "\x1b" not in done.stderr + done.stdout
    run = tmp_path / "runs" / "prose"
    assert str(run) in done.stdout and "verdict" in done.stdout
    summary, generated = done.stdout.split("report.html", 1)
    assert "textwright generate prose" in summary
    assert len(generated.strip()) > 50  # `--then generate` wrote a text
    assert list((run / "tensorboard").glob("events.out.tfevents.*"))
    again = textwright("train", "--name", "prose", "--resume", "--then", "generate")
    assert "epoch" not in again.stderr and "trained to its end already" in again.stderr
    assert len(again.stdout.split("report.html", 1)[1].strip()) > 50


def test_json_is_one_object_a_line(text_file: Path) -> None:
    done = textwright("train", text_file, *SMALL, "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["started", *["evaluation"] * 4, "finished"]
    assert set(lines[-1]) >= {"run", "val_loss", "seconds"}
    assert lines[-1]["val_loss"] == min(line["val_loss"] for line in lines[1:-1])
    assert all("sample" in line for line in lines[1:-1])


def test_a_rank_alone_silences_nothing(text_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Launchers and clusters set it; torchrun sets WORLD_SIZE too."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    done = textwright("train", text_file, *SMALL, "--json")
    assert done.stdout.count('"evaluation"') == 4


def test_a_terminal_shows_progress_and_the_latest_sample(text_file: Path) -> None:
    words = [sys.executable, "-m", "textwright", "train", str(text_file), *SMALL]
    words[words.index("30")] = "300"
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "110", "LINES": "40"}
    process = subprocess.Popen(
        words, stdin=child, stdout=child, stderr=child, env=environment, close_fds=True
    )
    os.close(child)
    screen = b""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        if select.select([parent], [], [], 0.5)[0]:
            try:
                screen += os.read(parent, 65536)
            except OSError:  # the other end was closed: the process has ended
                break
    assert process.wait(timeout=20) == 0
    os.close(parent)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.decode(errors="replace"))
    assert "what it writes at step" in shown
    assert re.search(r"\d+/300", shown) and "tokens/s" in shown and "left" in shown
    assert re.search(r"validation \d\.\d{4}", shown)


def test_a_plan_prints_and_trains_nothing(text_file: Path, tmp_path: Path) -> None:
    done = textwright("train", text_file, *SMALL, "--plan")
    for word in ("parameters", "memory", "steps", "expected time"):
        assert word in done.stdout
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.txt"], "nowhere.txt does not exist"),
        (["--size", "tiny"], "unknown size 'tiny'"),
        (["--name", "../x"], "can't be the name of a run"),
        (["--steps", "5", "--minutes", "1"], "--steps and --minutes: take one of them"),
        (
            ["--steps", "5", "--set", "training.minutes=1"],
            "--set training.minutes and --steps: take one of them",
        ),
        (["--minutes", "soon"], "--minutes"),
        (["--bogus"], "--bogus"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words: list[str], message: str) -> None:
    done = textwright("train", *words, code=2)
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: ")
    assert done.stdout == ""


def test_debug_shows_where_it_happened() -> None:
    done = textwright("train", "nowhere.txt", "--debug", code=1)
    assert "Traceback" in done.stderr and "CorpusError" in done.stderr
