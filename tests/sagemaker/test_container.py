"""The training side of a SageMaker container, in a folder of the test's own."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import types
from pathlib import Path
from typing import Any

import pytest

import textwright
from textwright.errors import RequestError, TextwrightError
from textwright.runs import Run, find
from textwright.sagemaker import archive, handler, job
from textwright.sagemaker.container import Container
from textwright.sagemaker.job import arguments

SMALL = {"model": "gpt", "model.hidden_size": "32", "model.num_layers": "1", "model.num_heads": "1",
         "model.block_size": "16", "training.threads": "1", "lowercase": "True"}  # fmt: skip


def container(base: Path, text: Path | None, **hyperparameters: str) -> Container:
    config = base / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps({**SMALL, **hyperparameters}))
    (config / "inputdataconfig.json").write_text('{"train": {"TrainingInputMode": "File"}}')
    (config / "resourceconfig.json").write_text('{"current_host": "algo-1", "hosts": ["algo-1"]}')
    channel = base / "input" / "data" / "train"
    channel.mkdir(parents=True)
    if text is not None:
        (channel / f"text{text.suffix}").write_bytes(text.read_bytes())
    return Container(base)


def entry(where: Container) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "textwright", "sagemaker-entry", "train"],
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(where.base)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_hyperparameters_are_strings_and_mean_what_they_say() -> None:
    hyperparameters = {
        "epochs": 2,
        "lowercase": True,
        "model": "gpt",
        "training.learning_rate": 0.01,
    }
    assert arguments(hyperparameters) == {
        "changes": ["training.learning_rate=0.01"], "epochs": 2.0, "lowercase": True, "model": "gpt"
    }  # fmt: skip
    assert arguments({"lowercase": False})["lowercase"] is None
    with pytest.raises(RequestError, match="unknown hyper-parameter epoch; did you mean 'epochs'"):
        arguments({"epoch": 2})
    with pytest.raises(RequestError, match="mean 'training.learning_rate'"):
        arguments({"learning_rate": 0.1})
    with pytest.raises(RequestError, match="mean 'model.dropout'"):
        arguments({"dropout": 0.1})
    assert arguments({"seed": 2**53 + 1})["seed"] == 2**53 + 1
    with pytest.raises(RequestError, match="steps must be a whole number, not 'many'"):
        arguments({"steps": "many"})


SPOT = {"steps": "100", "checkpoint_every": "5", "training.patience": "0"}


def test_a_job_goes_on_beyond_the_plan_of_its_checkpoint_and_fewer_epochs_write_a_conversation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "textwright")
    talks = tmp_path / "talks.jsonl"
    said = [{"messages": [{"role": "user", "content": f"Is it {n}?"},
                          {"role": "assistant", "content": f"It is {n} indeed."}]}
            for n in range(60)]  # fmt: skip
    talks.write_text("".join(json.dumps(one) + "\n" for one in said))
    where = container(tmp_path, talks, epochs="2")
    assert job.run(where, []) == 0
    run, asked = Run(where.checkpoints / "run"), where.base / "input/config/hyperparameters.json"
    reached = run.metrics()[-1]["step"]

    def ask(epochs: str) -> None:
        asked.write_text(json.dumps({**json.loads(asked.read_text()), "epochs": epochs}))
        caplog.clear()
        assert job.run(where, []) == 0

    ask("4")
    assert run.metrics()[-1]["step"] == 2 * reached
    assert [leg["asked"] for leg in run.settings()["plan"]["legs"]] == ["epochs 2", "epochs 4"]
    before = run.settings_file.read_bytes()
    ask("3")
    assert "epochs 3 asks for no more, and nothing is trained" in caplog.text
    assert run.settings_file.read_bytes() == before
    told = (where.output_data / "sample.txt").read_text()
    assert (
        told.startswith("YOU: Hello! How are you?\nMODEL:") and "sample: YOU: Hello" in caplog.text
    )


@pytest.mark.slow
def test_a_job_that_is_stopped_resumes_to_the_same_model(
    text_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, spot = (container(tmp_path / name, text_file, **SPOT) for name in ("whole", "spot"))
    assert job.run(whole, []) == 0
    assert not whole.failure.exists()
    assert textwright.load(whole.model).generate("The", max_tokens=5, seed=1).tokens
    assert (whole.model / "code" / "inference.py").is_file()
    there = {file.name for file in whole.output_data.iterdir()}
    assert there >= {"report.html", "metrics.jsonl", "sample.txt"}

    process = entry(spot)
    saved = Run(spot.checkpoints / "run")
    while not any(step > 0 for step, _ in saved.checkpoints()):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=200)
    assert "val_loss " in said
    assert process.returncode == 143
    # No further than it was, so that what it is given to end in (120 s) is enough
    assert 0 < saved.checkpoints()[0][0] < 100
    for _ in range(2):  # goes on; then all is done and nothing is trained
        assert job.run(spot, []) == 0
    assert "has been trained to its end already" in caplog.text
    models = [where.model / "model.safetensors" for where in (whole, spot)]
    assert models[0].read_bytes() == models[1].read_bytes()


def test_a_job_without_a_text_says_so(tmp_path: Path) -> None:
    empty = container(tmp_path / "empty", None, steps="4")
    with pytest.raises(TextwrightError, match="no channel holds a text"):
        job.run(empty, [])
    assert empty.failure.read_text().startswith("no channel holds a text")
    assert "\n" not in empty.failure.read_text()


def test_the_archive_has_no_folder_above_and_its_code_answers(tmp_path: Path) -> None:
    shipped = find("shakespeare")
    out = tmp_path / "model.tar.gz"
    names = archive.package(shipped, out)
    assert {"config.json", "model.safetensors", "code/inference.py"} <= set(names)
    with tarfile.open(out) as tar:
        tar.extractall(tmp_path / "model", filter="data")
    spec = importlib.util.spec_from_file_location("inference", tmp_path / "model/code/inference.py")
    assert spec and spec.loader
    code: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    model = code.model_fn(str(tmp_path / "model"))
    body = {"start_phrase": "ROMEO:", "generation_length": 8, "temperature": 0}
    answer = code.predict_fn(code.input_fn(json.dumps(body), "application/json"), model)
    content, kind = code.output_fn(answer, "application/json")
    assert kind == "application/json" and json.loads(content)["res_text"].startswith("ROMEO:")


@pytest.mark.parametrize(("body", "kind", "status"), [("{", None, 400), ("a,b", "text/csv", 415)])
def test_the_archive_code_refuses_with_a_status(
    body: str, kind: str | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class RefusedError(Exception):
        pass

    toolkit = types.ModuleType("sagemaker_inference.errors")
    toolkit.BaseInferenceToolkitError = RefusedError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sagemaker_inference", types.ModuleType("sagemaker_inference"))
    monkeypatch.setitem(sys.modules, "sagemaker_inference.errors", toolkit)
    model = handler.model_fn(str(find("shakespeare").path))
    with pytest.raises(RefusedError) as refused:
        handler.predict_fn(handler.input_fn(body, kind), model)
    assert refused.value.args[0] == status
