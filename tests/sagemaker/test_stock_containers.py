"""AWS's own PyTorch containers, which know nothing of textwright, do its jobs and serve its models.

The launcher's commands go to moto; what runs behind it is AWS's training toolkit or the request's
entry point, and AWS's model server, each in an environment of its own that has what such a
container has. No index answers there.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from namespaces import inside, need_namespaces, need_toolkits
from rehearsal import Command, Job, Rehearsal, rehearsed
from stock_environment import make
from test_aws_hosting import START

import textwright
from textwright.sagemaker import archive, source, stock

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
IMAGE = ("--image", "aws-pytorch")
TALK = "the sea was calm and the wind came from the north over the long white shore"


class Stock(Rehearsal):
    """A stand-in whose containers are AWS's."""

    def training(self, job: Job) -> tuple[list[str], dict[str, str]]:
        environment = make(self.folder / f"{job.folder.name}-image", need_toolkits())
        return inside(
            job.folder, job.request["AlgorithmSpecification"]["ContainerEntrypoint"]
        ), environment

    def hosting(self, folder: Path) -> tuple[list[str], dict[str, str]]:
        environment = make(folder / "image", need_toolkits())
        (folder / "tmp").mkdir()
        environment |= {"TMPDIR": str(folder / "tmp"), "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
                        "SAGEMAKER_BASE_DIR": "/opt/ml", "SAGEMAKER_MODEL_SERVER_VMARGS":
                        "-XX:-UseContainerSupport -XX:TieredStopAtLevel=1"}  # fmt: skip
        return inside(folder, ["python", "-c", START], own_processes=True), environment

    def shut_down(self, hosting: subprocess.Popen[bytes]) -> None:
        hosting.kill()  # and all that it started


@pytest.fixture(scope="module")
def cloud(
    tmp_path_factory: pytest.TempPathFactory, built_wheel: Path
) -> Iterator[tuple[str, Rehearsal]]:
    pytest.importorskip("moto", reason="needs the package moto")
    pytest.importorskip("flask_cors", reason="needs the package moto[server]")
    need_toolkits()
    need_namespaces(tmp_path_factory.mktemp("namespaces"))
    if shutil.which("java") is None:
        pytest.skip("multi-model-server needs Java: install a JRE")
    with (
        pytest.MonkeyPatch.context() as patch,
        rehearsed(tmp_path_factory.mktemp("cloud"), Stock) as found,
    ):
        # The wheel is made once, and the containers have the Python that runs the tests
        patch.setattr(source, "wheel_for_hub", lambda scratch: built_wheel)
        patch.setattr(stock, "TRAINING", replace(stock.TRAINING, python=PYTHON))
        patch.setattr(archive, "HOSTING", replace(stock.HOSTING, python=PYTHON))
        yield found


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """Conversations enough to train on."""
    words = TALK.split()
    lines = []
    for number in range(40):
        turns = [{"agent": f"agent_{turn % 2}", "text": " ".join(words[(number + turn) % 9 :][:6])}
                 for turn in range(4)]  # fmt: skip
        lines.append(json.dumps({"turns": turns}) + "\n")
    (tmp_path / "talks.jsonl").write_text("".join(lines), encoding="utf-8")
    return tmp_path / "talks.jsonl"


def test_a_job_and_an_endpoint_in_aws_own_containers(
    command: Command, account: Rehearsal, talks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("the wind\n/quit\n"))
    code, out, said = command("train", str(talks), "--steps", "6", "--name", "talk", *IMAGE,
                              "--set", "eval_every=3", "--wait", "--then", "chat")  # fmt: skip
    assert code == 0, said
    assert "bringing along what AWS's own container lacks" in said
    assert re.search(r"step 6/6 .*val_loss \d", said) and said.count("sample: ") == 3
    assert "MODEL: " in out, said
    run = textwright.load(Path(out.splitlines()[0]))

    code, out, said = command("deploy", "talk", "--instance-type", "ml.m5.large", *IMAGE)
    assert (code, out) == (0, "textwright-talk\n"), said
    ask = ("--seed", "7", "--temperature", "0.9")
    code, whole, said = command("invoke", "textwright-talk", "the sea", "-n", "40", *ask)
    assert code == 0, said
    assert whole == f"{run.generate('the sea', max_tokens=40, seed=7, temperature=0.9)}\n"
    code, streamed, said = command("invoke", "textwright-talk", "the sea", "-n", "40", *ask,
                                   "--stream", "--sentences", "2")  # fmt: skip
    assert code == 0 and whole.startswith(streamed.rstrip("\n")), said
    monkeypatch.setattr(sys, "stdin", io.StringIO("the wind\nand the shore\n/quit\n"))
    code, out, said = command("chat", "textwright-talk", "-n", "20", *ask)
    assert code == 0 and out.count("MODEL: ") == 2, said
    here = run.chat(seed=7, temperature=0.9, max_tokens=20).say("the wind")
    assert out.splitlines()[0] == f"MODEL: {here.strip()}"
    code, _, said = command("delete", "textwright-talk", "--artifacts", "--yes")
    assert code == 0, said


def test_a_stopped_job_hands_over_what_it_has(
    command: Command, account: Rehearsal, text_file: Path
) -> None:
    code, out, said = command("train", str(text_file), "--steps", "200000", "--name", "long",
                              "--set", "checkpoint_every=20", *IMAGE)  # fmt: skip
    assert code == 0, said
    job, end = account.jobs[out.strip()], time.monotonic() + 200
    saved = job.folder / "checkpoints" / "run" / "checkpoints"
    while not (saved.is_dir() and any(saved.iterdir())):
        assert job.status == "InProgress" and time.monotonic() < end, job.reason
        time.sleep(0.1)
    code, _, said = command("delete", out.strip(), "--yes")
    assert code == 0, said
    code, out, said = command("status", out.strip(), "--follow", "--name", "stopped")
    assert code == 0 and "was stopped" in said, said
    assert textwright.load(out.strip()).generate("The", max_tokens=5, seed=1).tokens


def test_the_toolkits_train_runs_the_same_source_folder(
    cloud: tuple[str, Rehearsal], text_file: Path, tmp_path: Path
) -> None:
    base, toolkits = tmp_path / "ml", need_toolkits()
    for folder in ("input/config", "input/data/train", "input/data/code", "model", "output"):
        (base / folder).mkdir(parents=True)
    shutil.copy(text_file, base / "input/data/train/text.txt")
    source.write_source(base / "input/data/code" / source.SOURCE, stock.TRAINING)
    config = {
        "hyperparameters": {
            "steps": "4", "model": "gpt", "model.hidden_size": "32", "model.num_layers": "1",
            "model.num_heads": "1", "model.block_size": "16", "training.threads": "1",
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": f'"/opt/ml/input/data/code/{source.SOURCE}"',
        },
        "inputdataconfig": {name: {"TrainingInputMode": "File"} for name in ("train", "code")},
        "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"],
                           "network_interface_name": "eth0"},
    }  # fmt: skip
    for name, content in config.items():
        (base / "input/config" / f"{name}.json").write_text(json.dumps(content))
    environment = {**make(tmp_path / "image", toolkits), "TRAINING_JOB_NAME": "by-the-toolkit",
                   "SM_STUDIO_LOCAL_MODE": "true"}  # fmt: skip
    done = subprocess.run(
        inside(base, ["python", str(toolkits / "bin" / "train")]),
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert textwright.load(base / "model").generate("The", max_tokens=5, seed=1).tokens
