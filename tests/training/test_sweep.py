"""A sweep with real processes: stopped by Ctrl-C, gone on with, with a trial that fails."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import textwright
from textwright.cli.app import main
from textwright.runs import Run

pytestmark = pytest.mark.slow

SMALL = ["model.num_layers=1", "model.hidden_size=32", "model.block_size=16", "model=gpt",
         "model.num_heads=1"]  # fmt: skip
TOO_LARGE = "100000000000"
"""A batch that no machine has the memory for: that trial fails once it has read the text."""


def test_a_sweep_is_stopped_goes_on_and_keeps_the_best(
    text_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    words = [sys.executable, "-m", "textwright", "sweep"]
    asked = [str(text_file), "--try", f"training.batch_size=4,{TOO_LARGE}", "--jobs", "1"]
    asked += ["--steps", "40", "--name", "mine", "--set", "eval_every=10"]
    asked += [word for change in SMALL for word in ("--set", change)]
    said = ""
    with subprocess.Popen([*words, *asked], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not re.search(r"batch_size-4: training, \d", said):
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        said += process.stderr.read()
    assert process.returncode == 130 and "textwright sweep --name mine --resume" in said
    assert not (runs / "mine").exists()

    done = subprocess.run(
        [*words, "--resume", "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["winner"] == "mine" and told["states"] == ["finished", "failed"]
    assert "memory" in told["trials"][1]["reason"]
    folder = runs / "mine-sweep"
    page = (folder / "sweep.html").read_text(encoding="utf-8")
    assert page.count("<polyline") == 2 and "is the run mine" in page and "memory" in page

    winner = Run(runs / "mine")
    assert winner.settings()["run"]["name"] == "mine" and winner.report_file.is_file()
    assert not winner.checkpoints_folder.exists() and winner.card_file.is_file()
    assert textwright.load(winner).generate("The", max_tokens=5, seed=1).tokens
    # paused by Ctrl-C and at a rung: the bytes of a training that never was
    alone = textwright.train(
        text_file, model="gpt", steps=40, name="alone", eval_every=10,
        changes=["training.batch_size=4", *(one for one in SMALL if one != "model=gpt")],
    )  # fmt: skip
    assert alone.weights_file.read_bytes() == winner.weights_file.read_bytes()

    capsys.readouterr()
    (folder / "sweep.html").unlink()
    for more, code, message in (
        (["--resume"], 0, f"winner: {winner.path}"),
        (asked, 2, "--resume"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["sweep", *more])
        said = "".join(capsys.readouterr())
        assert ended.value.code == code and message in said
    assert (folder / "sweep.html").read_text(encoding="utf-8") == page  # made anew


def test_workers_of_torchrun_share_a_sweep(text_file: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    words = ["-m", "textwright", "sweep", str(text_file), "--try", "seed=1,2,3,4", "--steps", "16"]
    words += ["--jobs", "1", "--name", "mine", "--set", "eval_every=4", "--json"]
    words += ["--set", "training.batch_size=4"]
    words += [word for change in SMALL for word in ("--set", change)]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)  # the first one's alone
    assert told["winner"] == "mine" and told["jobs"] == 2
    # two at a time, so two of four go on
    assert sorted(told["states"]) == ["finished", "finished", "stopped", "stopped"]
    bits = [bits for bits, state in zip(told["bits_per_char"], told["states"], strict=True)
            if state == "finished"]  # fmt: skip
    assert Run(runs / "mine").settings()["result"]["val_bits_per_char"] == min(bits)
    # each trial is trained by itself, not by both: the bytes are those of a training alone
    (best,) = [
        one["values"]["seed"]
        for one, each in zip(told["trials"], told["bits_per_char"], strict=True)
        if each == min(bits)
    ]
    alone = textwright.train(
        text_file, model="gpt", steps=16, name="alone", eval_every=4, seed=int(best),
        changes=["training.batch_size=4", *(one for one in SMALL if one != "model=gpt")],
    )  # fmt: skip
    assert alone.weights_file.read_bytes() == Run(runs / "mine").weights_file.read_bytes()
