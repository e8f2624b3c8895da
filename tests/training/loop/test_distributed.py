"""Several processes that train one model, as torchrun starts them: the curve is that of one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crew import Crew
from textwright.runs import Run

pytestmark = pytest.mark.slow

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]

SHAPES = {
    "lstm": ["model.hidden_size=32", "model.embedding_size=16", "model.num_layers=1"],
    "gpt": ["model.hidden_size=32", "model.num_heads=1", "model.num_layers=1"],
}
EXACT = [
    "training.optimizer=adamw",
    "model.dropout=0",
    "training.precision=float32",
    "training.patience=0",
]


def command(corpus: Path, name: str, family: str, *more: str) -> list[str]:
    words = ["train", str(corpus), "--name", name, "--model", family, "--json"]
    settings = ["model.block_size=16", "training.batch_size=8", "training.threads=1"]
    return [*words, *sets(*SHAPES[family], *settings), *more]


def sets(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def run(crew: Crew, workers: int, words: list[str]) -> list[dict[str, Any]]:
    """What the first worker told; the others tell nothing."""
    first, *others = crew.run(workers, words)
    assert first.returncode == 0, first.stderr
    assert [(each.returncode, each.stdout) for each in others] == [(0, "")] * (workers - 1)
    return [json.loads(line) for line in first.stdout.splitlines()]


def curve(said: list[dict[str, Any]], number: str) -> list[float]:
    """A number at each evaluation but the one before any step."""
    return [event[number] for event in said if event["event"] == "evaluation" and event["step"]]


def furthest(one: list[float], other: list[float]) -> float:
    """The largest relative difference between two curves."""
    assert len(one) == len(other) > 0
    return max(abs(a - b) / abs(a) for a, b in zip(one, other, strict=True))


Alone = Callable[[Path, str], list[dict[str, Any]]]

SHORT = ["--steps", "30", "--eval-every", "5", *sets(*EXACT, "training.sample_tokens=1")]


@pytest.fixture(scope="module")
def alone(crew: Crew) -> Alone:
    """What one process told of a short training of a family."""
    told: dict[str, list[dict[str, Any]]] = {}

    def of(text: Path, family: str) -> list[dict[str, Any]]:
        if family not in told:
            told[family] = run(crew, 1, command(text, "alone", family, *SHORT))
        return told[family]

    return of


@pytest.mark.parametrize(("family", "workers"), [("lstm", 4), ("gpt", 2)])
def test_the_curve_is_that_of_one_process(
    family: str, workers: int, alone: Alone, crew: Crew, text_file: Path
) -> None:
    one = alone(text_file, family)
    shared = run(crew, workers, command(text_file, "shared", family, *SHORT))
    assert len(curve(one, "train_loss")) == 6
    for number in ("train_loss", "val_loss"):
        assert furthest(curve(one, number), curve(shared, number)) < 1e-5, number


def test_the_default_recipe_is_near_that_of_one_process(crew: Crew, text_file: Path) -> None:
    more = ["--steps", "6", "--eval-every", "3", *sets("training.sample_tokens=1")]
    words = ["train", str(text_file), "--size", "nano", "--json", *more]
    alone = run(crew, 1, [*words, "--name", "alone"])
    shared = run(crew, 2, [*words, "--name", "shared"])
    assert furthest(curve(alone, "val_loss"), curve(shared, "val_loss")) < 1e-2


def test_a_signal_to_one_worker_stops_all_and_another_number_of_them_resumes(
    crew: Crew, text_file: Path, tmp_path: Path
) -> None:
    more = ["--steps", "300", "--eval-every", "60", "--checkpoint-every", "5"]
    more += sets(*EXACT, "training.sample_tokens=1", "training.ema_decay=0.9")
    whole = run(crew, 1, command(text_file, "whole", "lstm", *more))
    stopped = Run(tmp_path / "runs" / "stopped")
    words = command(text_file, "stopped", "lstm", *more)
    for workers in (2, 1):
        before = newest(stopped)
        crew.start(workers, words)
        wait_for(lambda before=before: newest(stopped) > before)
        os.kill(crew.pids[-1], signal.SIGTERM)
        ended = crew.wait()
        assert ended[0].returncode == 130, ended
        assert all("Traceback" not in each.stderr for each in ended)
        result = stopped.settings()["result"]
        assert result["status"] == "interrupted"
        assert newest(stopped) == result["steps"] < 300
        words = command(text_file, "stopped", "lstm", *more, "--resume")
    run(crew, 4, words)
    records = stopped.metrics()
    assert [record["step"] for record in records] == [0, 60, 120, 180, 240, 300]
    losses = [record["val_loss"] for record in records[1:]]
    assert furthest(curve(whole, "val_loss"), losses) < 1e-6


def newest(run: Run) -> int:
    """The step of the newest checkpoint; 0 before there is one of a step."""
    return max((step for step, _ in run.checkpoints()), default=0)


def wait_for(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 200
    while not there():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.01)


def test_torchrun_ends_with_the_reason_where_a_worker_is_killed_and_the_run_goes_on(
    crew: Crew, text_file: Path, tmp_path: Path
) -> None:
    more = ["--steps", "300", "--eval-every", "300", "--checkpoint-every", "5"]
    more += sets(*EXACT, "training.sample_tokens=1")
    words = command(text_file, "killed", "lstm", *more)
    process = subprocess.Popen(
        [*TORCHRUN, "--nproc-per-node", "2", "-m", "textwright", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    killed = Run(tmp_path / "runs" / "killed")
    wait_for(lambda: newest(killed) > 0 or process.poll() is not None)
    os.kill(workers_of(process)[1], signal.SIGKILL)
    _, said = process.communicate(timeout=200)
    assert process.returncode == 1
    assert "SIGKILL" in said
    assert 0 < newest(killed) < 300
    assert run(crew, 1, [*words, "--resume"])[-1]["status"] == "finished"


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes that train, in order of their rank."""
    import psutil

    children = psutil.Process(process.pid).children()
    ranked = {int(child.environ()["RANK"]): child.pid for child in children
              if "RANK" in child.environ()}  # fmt: skip
    return [ranked[rank] for rank in sorted(ranked)]


def test_a_worker_that_loses_another_says_so(crew: Crew, text_file: Path, tmp_path: Path) -> None:
    lost = Run(tmp_path / "runs" / "lost")
    more = ["--steps", "100000", "--checkpoint-every", "20", *sets("training.sample_tokens=1")]
    crew.start(2, command(text_file, "lost", "lstm", *more))
    wait_for(lambda: newest(lost) > 0)
    os.kill(crew.pids[1], signal.SIGKILL)
    first, killed = crew.wait()
    assert killed.returncode == -signal.SIGKILL
    assert first.returncode == 1 and "Traceback" not in first.stderr
    assert "worker 0 lost the others: one ended" in first.stderr
    assert "go on with --resume" in first.stderr


PARTED = """
import os
import torch
from textwright.training.loop import distributed

with distributed.process_group("cpu"):
    kept = torch.nn.Linear(2, 2)
    kept(torch.ones(1, 2)).sum().backward()
    distributed.all_reduce_gradients(kept.parameters())
    print(distributed.broadcast("a word"))
for thread in os.listdir("/proc/self/task"):
    print(open(f"/proc/self/task/{thread}/comm").read().strip())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="sees the threads in /proc")
def test_leaving_a_process_group_ends_its_threads() -> None:
    """One that outlives it may wait for the interpreter's lock as the interpreter ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
                 "MASTER_PORT": str(free.getsockname()[1])}  # fmt: skip
    pair = [
        subprocess.Popen(
            [sys.executable, "-c", PARTED], stdout=subprocess.PIPE, text=True,
            env={**os.environ, **where, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in "01"
    ]  # fmt: skip
    said = [process.communicate(timeout=200)[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert all("a word" in each and "gloo" not in each for each in said), said


def test_minutes_are_planned_by_all_and_the_plan_is_one(crew: Crew, text_file: Path) -> None:
    words = command(text_file, "timed", "lstm", "--minutes", "0.02")
    said = run(crew, 2, words)
    assert said[-1]["event"] == "finished" and said[-1]["status"] == "finished"
    assert said[-1]["steps"] == said[0]["plan"]["steps"]
    [planned] = run(crew, 2, [*words, "--plan"])
    assert planned["tokens_per_second"] > 0  # said once


def test_what_several_workers_cannot_do_is_one_line(crew: Crew, text_file: Path) -> None:
    few = command(text_file, "few", "lstm", "--steps", "2", *sets("training.batch_size=1"))
    told = crew.run(2, few)
    assert told[0].returncode == 2
    why = "training.batch_size 1 is less than one sample for each of 2 workers"
    assert why in told[0].stderr and "Traceback" not in told[0].stderr
    told = crew.run(2, ["train", "-", "--steps", "2"])
    assert "several workers can't share standard input" in told[0].stderr


ADDRESSES = ["10.77.0.1", "10.77.0.2"]
HOSTS = """
set -e
ip netns add {a}; ip netns add {b}
ip link add {a} type veth peer name {b}
ip link set {a} netns {a}; ip link set {b} netns {b}
ip -n {a} addr add 10.77.0.1/24 dev {a}; ip -n {b} addr add 10.77.0.2/24 dev {b}
for n in {a} {b}; do ip -n $n link set $n up; ip -n $n link set lo up; done
"""


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between them: two hosts, as far as a network sees."""
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    a, b = f"twa{os.getpid() % 100_000}", f"twb{os.getpid() % 100_000}"
    made = subprocess.run(["sh", "-c", HOSTS.format(a=a, b=b)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("this machine doesn't let a test make network namespaces")
    yield a, b
    for name in (a, b):
        subprocess.run(["ip", "netns", "delete", name], check=True)


def test_two_hosts_do_a_sagemaker_job_as_one_process(
    hosts: tuple[str, str], alone: Alone, text_file: Path, tmp_path: Path
) -> None:
    """What `resourceconfig.json` says becomes a torchrun on each; the first alone writes."""
    told = {"model": "lstm", "steps": "30", "eval_every": "5", "training.sample_tokens": "1"}
    for setting in (*EXACT, *SHAPES["lstm"], "model.block_size=16", "training.batch_size=8",
                    "training.threads=1"):  # fmt: skip
        name, _, told_value = setting.partition("=")
        told[name] = told_value
    processes = []
    for number, host in enumerate(hosts):
        base = tmp_path / host
        config = base / "input" / "config"
        config.mkdir(parents=True)
        resources = {"current_host": ADDRESSES[number], "hosts": ADDRESSES,
                     "network_interface_name": host}  # fmt: skip
        (config / "resourceconfig.json").write_text(json.dumps(resources))
        (config / "hyperparameters.json").write_text(json.dumps(told))
        (base / "input" / "data" / "train").mkdir(parents=True)
        shutil.copy(text_file, base / "input" / "data" / "train" / "text.txt")
        words = [sys.executable, "-m", "textwright", "sagemaker-entry", "train"]
        processes.append(
            subprocess.Popen(
                ["ip", "netns", "exec", host, *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "SAGEMAKER_BASE_DIR": str(base)},
            )
        )
    said = [process.communicate(timeout=200) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    first, second = (tmp_path / host for host in hosts)
    shared = Run(first / "checkpoints" / "run").metrics()[1:]
    losses = [record["train_loss"] for record in shared]
    assert furthest(curve(alone(text_file, "lstm"), "train_loss"), losses) < 1e-5
    assert (first / "model" / "model.safetensors").is_file()
    assert not (second / "model").exists() and not (second / "checkpoints" / "run").exists()
