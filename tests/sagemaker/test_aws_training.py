"""Training jobs as AWS's own toolkits run them, at the true paths: the SDK's version 2 and 3."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest
from namespaces import inside, need_namespaces, need_toolkits

import textwright
from textwright.runs import Run
from textwright.sagemaker.container import Container

pytestmark = pytest.mark.slow

ENTRY = Path(__file__).parents[2] / "examples" / "sagemaker_entry.py"
SMALL = {"model": "gpt", "model__hidden_size": "32", "model__num_layers": "1",
         "model__num_heads": "1", "model__block_size": "16", "training__threads": "1",
         "training__patience": "0", "training__sample_tokens": "1"}  # fmt: skip
LONG = {"steps": "100", "eval_every": "100", "checkpoint_every": "5"}


def job(base: Path, text: Path, **hyperparameters: str) -> Container:
    """A container's folder as the platform fills it, with the entry point as its code."""
    config = base / "input" / "config"
    files = {
        "hyperparameters": {**SMALL, **hyperparameters},
        "inputdataconfig": {"train": {"TrainingInputMode": "File"}},
        "resourceconfig": {
            "current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0",
            "current_instance_type": "ml.m5.large", "current_group_name": "homogeneousCluster",
            "instance_groups": [{"instance_group_name": "homogeneousCluster",
                                 "instance_type": "ml.m5.large", "hosts": ["algo-1"]}],
        },
    }  # fmt: skip
    config.mkdir(parents=True)
    for name, values in files.items():
        (config / f"{name}.json").write_text(json.dumps(values))
    for folder in ("input/data/train", "input/data/code", "model", "output/data", "checkpoints"):
        (base / folder).mkdir(parents=True)
    shutil.copy(text, base / "input" / "data" / "train" / "text.txt")
    shutil.copy(ENTRY, base / "input" / "data" / "code" / "train.py")
    return Container(base)


class Toolkit:
    """`sagemaker-training`, the toolkit of the SDK's version 2."""

    true = "True"
    extra = MappingProxyType(
        {"sagemaker_program": '"train.py"',
         "sagemaker_submit_directory": '"/opt/ml/input/data/code"'}
    )  # fmt: skip

    def words(self, where: Container, toolkits: Path) -> list[str]:
        return [str(toolkits / "bin" / "train")]


class Drivers:
    """The script and the drivers that the SDK's version 3 puts into a container."""

    true = "true"
    extra: MappingProxyType[str, str] = MappingProxyType({})

    def words(self, where: Container, toolkits: Path) -> list[str]:
        [package] = (toolkits / "lib").glob("python*/site-packages/sagemaker/train")
        drivers = where.base / "input" / "data" / "sm_drivers"
        if not drivers.exists():
            shutil.copytree(package / "container_drivers", drivers)
            (drivers / "sourcecode.json").write_text('{"entry_script": "train.py"}')
            (drivers / "distributed.json").write_text("{}")
            found: dict[str, str] = {}
            exec((package / "templates.py").read_text(), found)
            script = found["TRAIN_SCRIPT_TEMPLATE"].format(
                working_dir="cd /opt/ml/input/data/code",
                install_requirements="",
                execute_driver=found["EXECUTE_BASIC_SCRIPT_DRIVER"],
            )
            (drivers / "sm_train.sh").write_text(script)
        return ["bash", "/opt/ml/input/data/sm_drivers/sm_train.sh"]


KINDS: list[type[Toolkit | Drivers]] = [Toolkit, Drivers]


def start(kind: Toolkit | Drivers, where: Container, log: Path) -> subprocess.Popen[bytes]:
    toolkits = need_toolkits()
    environment = {
        **os.environ,
        "PATH": f"{toolkits / 'bin'}:{os.environ['PATH']}",
        "TRAINING_JOB_NAME": "rehearsal",
        "SM_STUDIO_LOCAL_MODE": "true",
        "PYTHONWARNINGS": "ignore",
    }
    with log.open("wb") as output:
        return subprocess.Popen(
            inside(where.base, kind.words(where, toolkits)),
            env=environment, stdout=output, stderr=output,
        )  # fmt: skip


def run(kind: Toolkit | Drivers, where: Container, log: Path) -> int:
    return start(kind, where, log).wait(200)


@pytest.fixture(autouse=True)
def _can_be(tmp_path: Path) -> None:
    need_namespaces(tmp_path)


def test_jobs_of_both_end_with_the_same_bytes_interrupted_or_not(
    text_file: Path, tmp_path: Path
) -> None:
    """One runs through under the toolkit; one is stopped under the drivers, and goes on there."""
    toolkit, drivers = Toolkit(), Drivers()
    whole = job(tmp_path / "whole", text_file, lowercase=toolkit.true, **LONG, **toolkit.extra)
    log = tmp_path / "log"
    assert run(toolkit, whole, log) == 0, log.read_text()
    assert not whole.failure.exists()
    assert {file.name for file in whole.output_data.iterdir()} >= {"report.html", "metrics.jsonl"}
    model = textwright.load(whole.model)
    assert model.generate("the", max_tokens=5, seed=1).tokens
    read = model.encode_prompt("THE").tokens
    assert read == model.encode_prompt("the").tokens  # lowercase was true

    spot = job(tmp_path / "spot", text_file, lowercase=drivers.true, **LONG, **toolkit.extra)
    process = start(drivers, spot, log)
    saved = Run(spot.checkpoints / "run")
    while not any(step > 0 for step, _ in saved.checkpoints()):
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)
    trainer(process).send_signal(signal.SIGTERM)
    assert process.wait(200) != 0
    # No further than it was, so that what it is given to end in (120 s) is enough
    assert 0 < saved.checkpoints()[0][0] < 100
    spot.failure.unlink(missing_ok=True)  # the next job's container is a new one
    assert run(drivers, spot, log) == 0, log.read_text()
    one, other = (each.model / "model.safetensors" for each in (whole, spot))
    assert one.read_bytes() == other.read_bytes()


def trainer(process: subprocess.Popen[bytes]) -> psutil.Process:
    """Which of the processes of a job trains."""
    children = psutil.Process(process.pid).children(recursive=True)
    return next(child for child in children if "train.py" in child.cmdline())


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_that_cannot_be_done_fails_and_says_why(
    kind: type[Toolkit | Drivers], text_file: Path, tmp_path: Path
) -> None:
    made = kind()
    wrong = job(tmp_path / "wrong", text_file, epoch="2", **made.extra)
    assert run(made, wrong, tmp_path / "log") == 1
    assert "unknown hyper-parameter epoch; did you mean 'epochs'?" in wrong.failure.read_text()
