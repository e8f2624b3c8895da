"""`textwright train`: blocks, JSON lines, a live terminal, plans and mistakes."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from signal import SIGINT

import pytest

from commands import Command
from textwright.cli import app
from textwright.cli.progress import _lines
from textwright.errors import CorpusError
from textwright.training import Sample

SMALL = ["--model", "lstm", "--steps", "30", "--eval-every", "10"]
for setting in ("model.hidden_size=24", "model.block_size=16", "training.batch_size=4"):
    SMALL += ["--set", setting]
SMALL += ["--companion", "off"]


def test_without_a_terminal_an_evaluation_is_a_plain_block(
    command: Command, text_file: Path, tmp_path: Path
) -> None:
    done = command("train", text_file, *SMALL, "--then", "generate", "--log", "tensorboard")
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
    again = command("train", "--name", "prose", "--resume", "--then", "generate")
    assert "epoch" not in again.stderr and "trained to its end already" in again.stderr
    assert len(again.stdout.split("report.html", 1)[1].strip()) > 50


def test_json_is_one_object_a_line(command: Command, text_file: Path) -> None:
    done = command("train", text_file, *SMALL, "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["started", *["evaluation"] * 4, "finished"]
    assert set(lines[-1]) >= {"run", "val_loss", "seconds"}
    assert lines[-1]["val_loss"] == min(line["val_loss"] for line in lines[1:-1])
    assert all("sample" in line for line in lines[1:-1])


def test_a_rank_alone_silences_nothing(
    command: Command, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Launchers and clusters set it; torchrun sets WORLD_SIZE too."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    done = command("train", text_file, *SMALL, "--json")
    assert done.stdout.count('"evaluation"') == 4


class Screen:
    """A terminal, on which a command of this process writes; what it shows is read meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: str, *awaited: str) -> None:
        """Args: the kind of terminal, and what it is to show before Ctrl-C is pressed."""
        self.written = ""
        self.pressed = False
        self._awaited = awaited
        self._parent, child = pty.openpty()
        for name, value in (("TERM", kind), ("COLUMNS", "110"), ("LINES", "40")):
            monkeypatch.setenv(name, value)
        self._terminal = os.fdopen(child, "w", encoding="utf-8")
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, self._terminal)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        said, deadline = b"", time.monotonic() + 100
        while True:
            try:
                said += os.read(self._parent, 1 << 16)
            except OSError:  # nobody has it open any more
                return
            self.written = said.decode(errors="replace")
            seen = all(re.search(what, self.shown) for what in self._awaited)
            if self._awaited and not self.pressed and (seen or time.monotonic() > deadline):
                self.pressed = True
                os.kill(os.getpid(), SIGINT)

    @property
    def shown(self) -> str:
        """What was written, without what moves the cursor and colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.written)

    def close(self) -> None:
        self._terminal.close()
        self._reader.join()
        os.close(self._parent)


def test_a_terminal_that_only_writes_forwards_gets_plain_blocks(
    command: Command, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(monkeypatch, "dumb")
    command("train", text_file, *SMALL)
    screen.close()
    said = screen.written
    assert "\x1b" not in said and said.count("val_loss") == 4 and said.count("\n  | ") >= 4


def test_a_terminal_shows_progress_and_the_latest_sample(
    command: Command, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", str(text_file), *SMALL]
    words[words.index("30")] = "1000000"
    words[words.index("10")] = "1000"
    awaited = [r"what it writes at step", r"\d+/1000000", r"tokens/s.* left",
               r"validation \d\.\d{4}"]  # fmt: skip
    screen = Screen(monkeypatch, "xterm", *awaited)
    command(*words, code=128 + SIGINT)  # all of it has been shown; training would take hours
    screen.close()
    for what in (*awaited, "--resume"):
        assert re.search(what, screen.shown), screen.shown


def test_a_plan_prints_and_trains_nothing(
    command: Command, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textwright.training.planning.planner._MEASURING_SECONDS", 0.05)
    done = command("train", text_file, *SMALL, "--plan")
    for word in ("parameters", "memory", "steps", "expected time"):
        assert word in done.stdout
    assert not (tmp_path / "runs").exists()


def test_the_plan_of_a_run_that_goes_on_is_its_own(command: Command, text_file: Path) -> None:
    command("train", text_file, *SMALL, "--name", "mine")
    done = command("train", "--name", "mine", "--resume", "--plan", "--json")
    planned = json.loads(done.stdout)
    assert (planned["steps"], planned["model"]["hidden_size"]) == (30, 24)
    done = command("train", text_file, "--name", "mine", "--resume", "--plan")
    assert "30 of 64 tokens" in done.stdout
    other = text_file.with_name("other.txt")
    other.write_text("It was another text than that. " * 100, encoding="utf-8")
    done = command("train", other, "--name", "mine", "--resume", "--plan", code=2)
    assert "has changed" in done.stderr


@pytest.mark.parametrize("family", ["lstm", "gpt"])
def test_a_text_of_500_characters_trains(
    command: Command, text_file: Path, tmp_path: Path, family: str
) -> None:
    few = tmp_path / "few.txt"
    few.write_text(text_file.read_text(encoding="utf-8")[:500], encoding="utf-8")
    done = command("train", few, "--model", family, "--size", "nano", "--steps", "2")
    assert "the training text is short (450 tokens" in done.stderr
    assert "few.txt" not in done.stdout and "validation loss" in done.stdout


def test_joiners_are_shown_as_they_are() -> None:
    sample = Sample(
        step=1, prompt="", text="\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 👩\u200d🚀\x1b[2J"
    )
    assert _lines(sample) == ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 👩\u200d🚀·[2J"]


def test_a_text_that_is_not_there_is_told_before_torch_is_loaded() -> None:
    code = "import sys; from textwright.cli.app import main\n"
    code += "try: main(['train', 'nowhere.txt'])\n"
    code += "finally: print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "nowhere.txt does not exist" in said.stderr and said.stdout == "False\n"


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
def test_a_mistake_is_one_line_and_exit_code_2(
    command: Command, words: list[str], message: str
) -> None:
    done = command("train", *words, code=2)
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: ")
    assert done.stdout == ""


def test_debug_shows_where_it_happened() -> None:
    with pytest.raises(CorpusError):  # which Python tells with its traceback
        app.main(["train", "nowhere.txt", "--debug"])
