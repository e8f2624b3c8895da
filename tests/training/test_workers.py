"""Several processes that train one model, as torchrun starts them: the curve is that of one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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
    words = ["-m", "textwright", "train", str(corpus), "--name", name, "--model", family, "--json"]
    settings = ["model.block_size=16", "training.batch_size=8", "training.threads=1"]
    for setting in [*SHAPES[family], *settings]:
        words += ["--set", setting]
    return [*words, *more]


def sets(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def on(workers: int, words: list[str]) -> list[str]:
    """The command, by so many workers of this machine."""
    if workers == 1:
        return [sys.executable, *words]
    return [*TORCHRUN, "--nproc-per-node", str(workers), *words]


def events(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def run(workers: int, words: list[str]) -> list[dict[str, Any]]:
    done = subprocess.run(on(workers, words), capture_output=True, text=True, check=False)
    return events(done)


def curve(said: list[dict[str, Any]], number: str) -> list[float]:
    """A number at each evaluation but the one before any step."""
    return [event[number] for event in said if event["event"] == "evaluation" and event["step"]]


def furthest(one: list[float], other: list[float]) -> float:
    """The largest relative difference between two curves."""
    assert len(one) == len(other) > 0
    return max(abs(a - b) / abs(a) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("family", "workers"), [("lstm", 4), ("gpt", 2)])
def test_the_curve_is_that_of_one_process(family: str, workers: int, text_file: Path) -> None:
    more = ["--steps", "50", "--eval-every", "2", *sets(*EXACT, "training.sample_tokens=1")]
    alone = run(1, command(text_file, "alone", family, *more))
    shared = run(workers, command(text_file, "shared", family, *more))
    assert len(curve(alone, "train_loss")) == 25
    for number in ("train_loss", "val_loss"):
        assert furthest(curve(alone, number), curve(shared, number)) < 1e-5, number


def test_the_default_recipe_is_near_that_of_one_process(text_file: Path) -> None:
    more = ["--steps", "50", "--eval-every", "5", *sets("training.sample_tokens=1")]
    words = ["-m", "textwright", "train", str(text_file), "--size", "nano", "--json", *more]
    alone = run(1, [*words, "--name", "alone"])
    shared = run(2, [*words, "--name", "shared"])
    assert furthest(curve(alone, "val_loss"), curve(shared, "val_loss")) < 1e-2


@pytest.mark.parametrize("family", ["lstm", "gpt"])
def test_it_is_told_to_stop_and_goes_on_with_another_number_of_workers(
    family: str, text_file: Path, tmp_path: Path
) -> None:
    """SIGTERM reaches one worker alone; one process goes on, then two again."""
    more = ["--steps", "600", "--eval-every", "120", "--checkpoint-every", "40"]
    more += sets(*EXACT, "training.sample_tokens=1", "training.ema_decay=0.9")
    whole = run(1, command(text_file, "whole", family, *more))
    stopped = Run(tmp_path / "runs" / "stopped")
    words = command(text_file, "stopped", family, *more)
    for workers in (2, 1):
        process = start(on(workers, words))
        before = max((step for step, _ in stopped.checkpoints()), default=-1)
        wait_for(lambda: any(step > max(before, 0) for step, _ in stopped.checkpoints()), process)  # noqa: B023
        os.kill(workers_of(process)[-1], signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert process.returncode != 0 and "Traceback" not in said.partition("torch/")[0]
        result = stopped.settings()["result"]
        assert result["status"] == "interrupted"
        assert stopped.checkpoints()[0][0] == result["steps"] < 600
        words = command(text_file, "stopped", family, *more, "--resume")
    run(2, words)
    ended = Run(tmp_path / "runs" / "stopped").metrics()
    assert [record["step"] for record in ended] == [0, 120, 240, 360, 480, 600]
    losses = [record["val_loss"] for record in ended[1:]]
    assert furthest(curve(whole, "val_loss"), losses) < 2e-3


def test_a_killed_worker_ends_the_job_with_its_reason(text_file: Path, tmp_path: Path) -> None:
    more = ["--steps", "100000", "--checkpoint-every", "20"]
    process = start(on(2, command(text_file, "killed", "lstm", *more)))
    killed = Run(tmp_path / "runs" / "killed")
    wait_for(lambda: bool(killed.checkpoints()) and killed.checkpoints()[0][0] > 0, process)
    os.kill(workers_of(process)[1], signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "SIGKILL" in said
    assert killed.checkpoints()[0][0] > 0


def start(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes that train, in order of their rank."""
    import psutil

    children = psutil.Process(process.pid).children()
    ranked = {int(child.environ()["RANK"]): child.pid for child in children
              if "RANK" in child.environ()}  # fmt: skip
    return [ranked[rank] for rank in sorted(ranked)] or [process.pid]


def wait_for(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while not there():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


def test_minutes_are_planned_by_all_and_the_plan_is_one(text_file: Path) -> None:
    words = ["-m", "textwright", "train", str(text_file), "--minutes", "0.1", "--json"]
    begin = time.monotonic()
    said = run(2, [*words, "--name", "timed"])
    assert said[-1]["event"] == "finished" and said[-1]["status"] == "finished"
    assert said[-1]["steps"] == said[0]["plan"]["steps"] > 1
    assert time.monotonic() - begin < 60
    planned = subprocess.run(
        on(2, [*words, "--plan"]), capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(planned)["tokens_per_second"] > 0  # said once


def test_what_several_workers_cannot_do_is_one_line(text_file: Path) -> None:
    few = command(text_file, "few", "lstm", "--steps", "2", *sets("training.batch_size=1"))
    done = subprocess.run(on(2, few), capture_output=True, text=True, check=False)
    assert "training.batch_size 1 is less than one sample for each of 2 workers" in done.stderr
    words = ["-m", "textwright", "train", "-", "--steps", "2"]
    done = subprocess.run(on(2, words), input="some text " * 999, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert "several workers can't share standard input" in done.stderr


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


def test_two_hosts_train_as_one_process(hosts: tuple[str, str], text_file: Path) -> None:
    more = ["--steps", "50", "--eval-every", "5", *sets(*EXACT, "training.sample_tokens=1")]
    alone = run(1, command(text_file, "alone", "lstm", *more))
    words = command(text_file, "shared", "lstm", *more)
    processes = [
        subprocess.Popen(
            ["ip", "netns", "exec", host, sys.executable, "-m", "torch.distributed.run",
             "--nnodes", "2", "--nproc-per-node", "1", "--node-rank", str(rank),
             "--master-addr", "10.77.0.1", "--master-port", "7777", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "GLOO_SOCKET_IFNAME": host},
        )
        for rank, host in enumerate(hosts)
    ]  # fmt: skip
    told = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    assert told[1][0] == ""
    shared = [json.loads(line) for line in told[0][0].splitlines()]
    assert furthest(curve(alone, "train_loss"), curve(shared, "train_loss")) < 1e-5
