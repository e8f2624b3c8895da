"""What ends a command early: mistakes, full machines, readers that leave. No tracebacks."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from textwright.cli import app
from textwright.cli.progress import progress
from textwright.configs import GPTConfig, config_class, model_config
from textwright.errors import RequestError
from textwright.runs import Run
from textwright.training import Plan, Progress

SMALL = ["--steps", "2", "--model", "lstm", "--set", "model.hidden_size=16"]
SMALL += ["--set", "model.block_size=16", "--set", "training.batch_size=4"]
START = [sys.executable, "-m", "textwright"]


def complaint(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line that a wrong request gives."""
    with pytest.raises(SystemExit) as end:
        app.main(words)
    shown = capsys.readouterr()
    assert end.value.code == 2 and shown.out == "", shown
    lines = [line for line in shown.err.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1 and lines[0].startswith("error: "), shown.err
    return lines[0]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["train", "--json", "--then", "chat"], "--json and --then"),
        (["train", "--num-epochs", "5"], "--epochs"),
        (["generate", "shakespeare", "--generation-length", "5"], "did you mean '--max-tokens'"),
        (["generate", "shakespeare", "--max-new-tokens", "5"], "--max-tokens"),
        (["serve", "--models-folder", "x"], "--models"),
        (["serve", "--prot", "1"], "--port"),
        (["serve", "--log-level", "loud"], "'debug', 'info', 'warning'"),
        (["serve", "--log-file", "no/such/folder/log"], "--log-file no/such/folder/log: No such"),
        (["eval", "prose", "--device", "gpu"], "--device"),
        (["train", "--set", "model.family=5"], "unknown model '5'"),
        (["trian"], "No such command 'trian'"),
        (["train", "--minuets", "5"], "No such option: --minuets"),
        (["generate"], "Missing argument 'RUN'"),
        (["generate", "prose", "--seed"], "'--seed' requires an argument"),
    ],
)
def test_what_makes_no_sense_is_named(
    capsys: pytest.CaptureFixture[str], words: list[str], named: str
) -> None:
    assert named in complaint(capsys, *words)


@pytest.mark.parametrize("words", [[], ["sagemaker"]])
def test_a_group_without_a_command_shows_its_help(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        app.main(words)
    shown = capsys.readouterr()
    assert (end.value.code, shown.err) == (2, "") and "Usage: textwright" in shown.out


@pytest.mark.parametrize("model", ["gpt", "transformer"])
def test_widths_of_a_wrong_kind_are_named(
    capsys: pytest.CaptureFixture[str], model: str, text_file: Path
) -> None:
    words = ["train", str(text_file), "--steps", "2", "--model", model]
    message = complaint(capsys, *words, "--set", "model.hidden_size=[128,64]")
    assert "hidden_size" in message and "[128, 64]" in message


def test_a_family_that_is_no_name_is_named() -> None:
    with pytest.raises(RequestError, match="unknown model 5"):
        config_class(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "named"),
    [({"num_attention_heads": 0}, "num_heads"), ({"rope_parameters": [1]}, "rope_parameters is")],
)
def test_a_damaged_config_is_one_error(change: dict[str, object], named: str) -> None:
    sound = GPTConfig(vocab_size=9, block_size=8, num_layers=1).to_json()
    with pytest.raises(RequestError, match=rf"config.json is damaged: .*{named}"):
        model_config({**sound, **change})


def test_torch_says_that_memory_is_full_in_words_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(RuntimeError) as info:
        torch.empty(1 << 55, dtype=torch.uint8)
    assert app._report_error(info.value) == 1
    assert capsys.readouterr().err.startswith("error: not enough memory; take a smaller --size")


@pytest.mark.slow
def test_a_text_whose_name_is_not_utf8_can_be_trained_on(text_file: Path, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/d\xe9j\xe0.txt"
    try:
        text_file.rename(os.fsdecode(name))
    except OSError:
        pytest.skip("this file system has no such names")
    words = [*START, "train", os.fsdecode(name), *SMALL, "--name", "prose"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    sources = Run(tmp_path / "runs" / "prose").settings()["corpus"]["sources"]
    assert sources[0].endswith(r"d\udce9j\udce0.txt")


ALL_IN_TURN = """
import json, sys
from textwright.cli.app import main
for words in json.loads(sys.argv[1]):
    try: main(words)
    except SystemExit as ended: assert not ended.code, words
"""


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("cp1252", marks=pytest.mark.slow)])
def test_no_command_fails_on_a_character_that_an_encoding_lacks(
    encoding: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    text = tmp_path / "Письмо — ё.txt"
    text.write_text("Мороз и солнце; день чудесный — „да“…\n" * 60, encoding="utf-8")
    commands = [["generate", "--help"], ["corpora", "list"], ["runs", "--json"]]
    if request.node.get_closest_marker("slow"):
        commands.insert(0, ["train", str(text), *SMALL])
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "1",
             "PYTHONIOENCODING": encoding}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", ALL_IN_TURN, json.dumps(commands)],
        check=False, capture_output=True, env={**os.environ, **plain}, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode(encoding).replace("\r\n", "\n")
    listed = json.loads(shown[shown.rindex("\n[") :])
    assert len(listed) == len(commands) - 3


@pytest.mark.parametrize(
    "command", ["corpora list", pytest.param("train --json", marks=pytest.mark.slow)]
)
def test_a_reader_that_leaves_ends_it_quietly(command: str, text_file: Path) -> None:
    words = [*START, *command.split()]
    if command.startswith("train"):
        words += [str(text_file), *SMALL]
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(words, stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        errors = process.communicate(timeout=200)[1]
    assert all(line.startswith(b"warning: ") for line in errors.splitlines()), errors
    assert process.returncode == 1


class Screen:
    """What was written to a terminal; a thread reads along, as a terminal does."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._bytes = b""
        self._grown = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._terminal, 65536)
            except OSError:  # the other end was closed
                piece = b""
            with self._grown:
                self._bytes += piece
                self._grown.notify()
            if not piece:
                return

    def wait_for(self, words: bytes, after: bytes = b"") -> None:
        """Until some words stand there, behind others."""

        def there() -> bool:
            _, found, below = self._bytes.partition(after) if after else (b"", b"-", self._bytes)
            return bool(found) and words in below

        with self._grown:
            assert self._grown.wait_for(there, 100), self._bytes

    def closed(self) -> str:
        """All of it, once nobody can write there any more."""
        self._reader.join(100)
        os.close(self._terminal)
        return self._bytes.decode()


PLAN = Plan(size=None, parameters=9, steps=100, tokens_per_step=9, epochs=1.0, eval_every=9,
            checkpoint_every=9, eval_tokens=0, protocol="", memory_bytes=9)  # fmt: skip


def test_a_display_that_training_failed_under_is_taken_down() -> None:
    parent, child = pty.openpty()
    screen = Screen(parent)
    with (
        os.fdopen(child, "w", encoding="utf-8") as terminal,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"}.items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdout", terminal)
        patch.setattr(sys, "stderr", terminal)
        app._configure_logging(False)
        shown = progress()
        shown.started(Run(Path("prose")), PLAN, 7)
        shown.progressed(Progress(8, 100, 1.5, 70.0, 1.0, 9.0))
        screen.wait_for(b"tokens/s")
        logging.getLogger("textwright").warning("mind this")
        screen.wait_for(b"tokens/s", after=b"mind this")
        shown.closed()
        shown.closed()
    text = screen.closed()
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l") >= 0, "the cursor is there again"
    # the display is erased, the warning takes its place, and the display stands anew below it
    assert re.search(r"\x1b\[2K(\x1b\[1A\x1b\[2K)*warning: mind this\r\n", text), text
    assert "tokens/s" in text and "nan" not in text


@pytest.mark.skipif(sys.platform == "win32", reason="a process there gets no SIGHUP")
@pytest.mark.parametrize("number", ["SIGTERM", pytest.param("SIGHUP", marks=pytest.mark.slow)])
def test_a_signal_leaves_no_copy_of_what_was_piped_in(tmp_path: Path, number: str) -> None:
    environment = {**os.environ, "TEXTWRIGHT_CACHE": str(tmp_path)}
    process = subprocess.Popen(
        [*START, "train", "-", "--plan"], stdin=subprocess.PIPE, env=environment, bufsize=0,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509
    )  # fmt: skip
    assert process.stdin is not None
    sent = False
    with pytest.raises(BrokenPipeError):  # it is read on and on, until the signal
        while True:
            process.stdin.write(b"It was a private matter.\n" * 10_000)
            if not sent and [*tmp_path.glob("streams/*")]:
                process.send_signal(getattr(signal, number))
                sent = True
    assert process.wait() == -getattr(signal, number)
    process.stdin.close()
    assert sent and not [*tmp_path.glob("streams/*")]
