"""What a training chooses on this machine, and on smaller ones that this one can play."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import textwright
from textwright.configs import TrainingSettings
from textwright.errors import RequestError
from textwright.models import device
from textwright.runs import Run

TINY = ["model.hidden_size=32", "model.num_layers=1", "model.num_heads=1", "training.batch_size=2"]
CPU = torch.device("cpu")
SMALL = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "TEXTWRIGHT_KERNELS": "auto"}
"""A processor without bfloat16, played by any x86-64."""

CHOOSE = """
import json, torch
from textwright.models import device
print(json.dumps([device.choose_precision("auto", torch.device("cpu"), family)
                  for family in ("lstm", "gpt")]))
"""


def on_a_small_processor(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], env=os.environ | SMALL, check=False,
        capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip


def speeds(monkeypatch: pytest.MonkeyPatch, float32: float, bfloat16: float, *, lstm: bool) -> None:
    """A processor that multiplies so fast."""
    monkeypatch.setattr(device, "core_gflops", lambda: {"float32": float32, "bfloat16": bfloat16})
    monkeypatch.setattr(device, "can_train_in_bfloat16", lambda: lstm)


def test_a_processor_is_measured_in_both_formats() -> None:
    found = device.core_gflops()
    assert found.keys() == {"float32", "bfloat16"}
    assert all(speed > 0 for speed in found.values())


def test_measuring_leaves_seed_and_threads_alone() -> None:
    threads = torch.get_num_threads()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    device.core_gflops.cache_clear()
    device.can_train_in_bfloat16.cache_clear()
    assert device.choose_precision("auto", CPU) in ("float32", "bfloat16")
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("float32", "bfloat16", "lstm", "chosen"),
    [
        (98, 201, True, "bfloat16"),  # AVX-512 with bfloat16 instructions
        (89, 3, False, "float32"),  # AVX2
        (102, 38, True, "float32"),  # AVX-512 without them
        (98, 201, False, "float32"),  # products in it, and no recurrent layers
        (100, 104, True, "float32"),  # not worth a shorter mantissa
    ],
)
def test_the_faster_format_that_works_is_taken(
    monkeypatch: pytest.MonkeyPatch, float32: float, bfloat16: float, lstm: bool, chosen: str
) -> None:
    speeds(monkeypatch, float32, bfloat16, lstm=lstm)
    assert device.choose_precision("auto", CPU, "lstm") == chosen


def test_a_gpu_that_emulates_bfloat16_takes_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    for capability, chosen in [((7, 0), "float32"), ((7, 5), "float32"), ((8, 0), "bfloat16")]:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, at=capability: at)
        assert device.choose_precision("auto", gpu) == chosen


def test_recurrent_models_stay_off_mps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device.choose_device("auto", "lstm").type == "cpu"
    assert device.choose_device("auto", "gpt").type == "mps"
    assert device.choose_device("mps", "lstm").type == "mps"


def test_a_format_that_does_not_work_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    speeds(monkeypatch, 89, 3, lstm=False)
    with pytest.raises(RequestError, match=r"training\.precision.*float32"):
        device.choose_precision("bfloat16", CPU, "lstm")
    assert device.choose_precision("bfloat16", CPU, "gpt") == "bfloat16"


def test_compiling_needs_triton_and_a_compiler(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gpu = torch.device("cuda")
    assert not device.choose_compile("auto", CPU)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.setattr(device.importlib.util, "find_spec", lambda name: None)
    assert not device.choose_compile("auto", gpu)
    assert "no package triton" in caplog.text
    monkeypatch.setattr(device.importlib.util, "find_spec", lambda name: name)
    assert not device.choose_compile("auto", gpu)
    assert "no C compiler" in caplog.text
    with pytest.raises(RequestError, match="no C compiler"):
        device.choose_compile("on", CPU)
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    assert device.choose_compile("auto", gpu)


def test_threads_are_no_more_than_the_container_has(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(8)
        monkeypatch.setattr(device.machine, "cores", lambda: 2)
        assert device.use_threads(0) == 2
        assert device.use_threads(3) == 3, "somebody asked for them"
    finally:
        torch.set_num_threads(before)


def test_what_was_chosen_is_frozen(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds(monkeypatch, 89, 3, lstm=False)
    run = textwright.train(text_file, model="gpt", steps=1, changes=TINY)
    training = run.settings()["training"]
    assert (training["precision"], training["compile"]) == ("float32", "off")
    speeds(monkeypatch, 98, 201, lstm=True)
    resumed = textwright.train(text_file, name=run.name, resume=True)
    assert resumed.settings()["training"]["precision"] == "float32"


def test_going_on_where_the_format_is_emulated(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    speeds(monkeypatch, 98, 201, lstm=True)
    assert device.precision_to_resume("bfloat16", CPU) == "bfloat16"
    speeds(monkeypatch, 100, 95, lstm=True)
    assert device.precision_to_resume("bfloat16", CPU) == "bfloat16", "slower, and exact"
    assert not caplog.text
    speeds(monkeypatch, 89, 3, lstm=False)
    assert device.precision_to_resume("bfloat16", CPU) == "float32"
    assert "float32" in caplog.text


def test_a_learner_and_its_optimizer_share_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    speeds(monkeypatch, 89, 3, lstm=False)
    small = device.resolve_auto(TrainingSettings(), "lstm")
    speeds(monkeypatch, 98, 201, lstm=True)
    large = device.resolve_auto(TrainingSettings(), "lstm")
    assert (small.precision, large.precision) == ("float32", "bfloat16")


@pytest.mark.slow
@pytest.mark.skipif("x86" not in os.uname().machine, reason="only x86 can be limited so")
def test_a_limited_instruction_set_is_seen() -> None:
    done = on_a_small_processor("-c", CHOOSE)
    assert json.loads(done.stdout) == ["float32", "float32"], done.stderr


@pytest.mark.slow
@pytest.mark.skipif("x86" not in os.uname().machine, reason="only x86 can be limited so")
def test_a_small_processor_trains_resumes_and_generates(text_file: Path, tmp_path: Path) -> None:
    """A run that another processor began in bfloat16 goes on there, too."""
    train = ["-m", "textwright", "train", str(text_file), "--model", "lstm", "--runs",
             str(tmp_path), "--size", "nano", "--name", "small"]  # fmt: skip
    done = on_a_small_processor(*train, "--steps", "4", "--set", "training.batch_size=4")
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "small")
    assert run.settings()["training"]["precision"] == "float32"

    frozen = run.settings_file.read_text(encoding="utf-8")
    frozen = frozen.replace('precision = "float32"', 'precision = "bfloat16"')
    frozen = frozen.replace('status = "finished"', 'status = "stopped"')
    run.settings_file.write_text(frozen, encoding="utf-8")
    done = on_a_small_processor(*train, "--resume")
    assert done.returncode == 0, done.stderr
    assert "float32" in done.stderr

    words = ["-m", "textwright", "generate", str(run.path), "The", "-n", "20", "--temperature", "0"]
    assert len(on_a_small_processor(*words).stdout) > len("The")


def test_the_time_that_another_process_took_is_nobodys() -> None:
    """A core that went away in the first call made bfloat16 look emulated, on a busy machine."""
    assert device._seconds(lambda: time.sleep(0.02)) < 0.005  # type: ignore[arg-type, func-returns-value]
