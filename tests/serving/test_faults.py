"""Faults under load, on a real process: folders that change, memory, signals, long prompts."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from servers import SECONDS, Process

from textwright.generation import load
from textwright.runs import Run

pytestmark = pytest.mark.slow


def completion(url: str, **body: Any) -> httpx.Response:
    request = {"model": "one", "prompt": "It was", "ignore_eos": True, **body}
    return httpx.post(f"{url}/v1/completions", json=request, timeout=SECONDS)


def test_a_text_ends_on_the_weights_it_began_with(
    process: Process, folder: Path, make_model: Callable[..., Run]
) -> None:
    """While its model is asked for by others, replaced, broken, and deleted."""
    request: dict[str, Any] = {"max_tokens": 20_000, "seed": 3}
    right = load(folder / "one").generate("It was", **request).text
    statuses: list[int] = []
    stopped = threading.Event()

    def ask_again_and_again() -> None:
        while not stopped.is_set():
            statuses.append(completion(process.url, max_tokens=2).status_code)

    other = make_model(folder.parent / "other", seed=7).weights_file
    changed = load(folder.parent / "other").generate("It was", **request).text
    with ThreadPoolExecutor(3) as pool:
        under_way = pool.submit(completion, process.url, **request)
        process.until(lambda: "num_requests_running 0.0" not in metrics(process))
        asker = pool.submit(ask_again_and_again)
        shutil.copy(other, folder / "one")
        process.until(lambda: texts(process, max_tokens=50, seed=3) == changed[:50])
        stopped.set()
        asker.result()
        assert set(statuses) == {200}
        assert under_way.result().json()["choices"][0]["text"] == right
        under_way = pool.submit(completion, process.url, **request)
        process.until(lambda: "num_requests_running 0.0" not in metrics(process))
        weights = folder / "one" / "model.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole[: len(whole) // 2])  # in place
        process.until(lambda: status(process, "one")["status"] == "Failed")
        assert "damaged" in status(process, "one")["reason"]
        refused = completion(process.url, max_tokens=2)
        assert refused.status_code == 503 and "damaged" in refused.json()["error"]["message"]
        assert completion(process.url, model="two", max_tokens=2).status_code == 200
        assert under_way.result().json()["choices"][0]["text"] == changed
        weights.write_bytes(whole)
        process.until(lambda: status(process, "one")["status"] == "Loaded")
        under_way = pool.submit(completion, process.url, **request)
        process.until(lambda: "num_requests_running 0.0" not in metrics(process))
        shutil.rmtree(folder / "one")
        process.until(lambda: "one" not in httpx.get(process.url).json()["status"])
        assert under_way.result().json()["choices"][0]["text"] == changed
    assert completion(process.url, max_tokens=2).status_code == 404


def status(process: Process, name: str) -> dict[str, str]:
    found: dict[str, str] = httpx.get(process.url).json()["status"][name]
    return found


def texts(process: Process, **request: Any) -> str:
    return str(completion(process.url, **request).json()["choices"][0]["text"])


def metrics(process: Process) -> str:
    return httpx.get(f"{process.url}/metrics").text


def test_models_make_room_for_each_other(folder: Path, make_model: Callable[..., Run]) -> None:
    make_model(folder / "three", seed=3)
    make_model(folder / "four", seed=4)
    size = load(folder / "four").runtime.weight_bytes
    shutil.rmtree(folder / "two")
    served = Process("--models", str(folder), "--memory", str(2 * size + size // 2))
    try:
        names = ["one", "three", "four"]
        right = {name: load(folder / name).generate("It was", max_tokens=20, seed=5).text
                 for name in names}  # fmt: skip

        def ask(number: int) -> bool:
            name = names[number % 3]
            return texts(served, model=name, max_tokens=20, seed=5) == right[name]

        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(ask, range(60)))

        def loaded() -> set[str]:
            status = httpx.get(served.url).json()["status"]
            return {name for name, state in status.items() if state["status"] == "Loaded"}

        for name in ("one", "four", "three"):
            assert ask(names.index(name))
        assert loaded() == {"four", "three"}
    finally:
        assert served.stop() == 0


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_served_in_any_precision_texts_are_those_of_it(folder: Path, precision: str) -> None:
    served = Process("--models", str(folder), "--precision", precision)
    try:
        for name in ("one", "two"):
            right = load(folder / name, precision=precision).generate(
                "It was", max_tokens=50, seed=2
            )
            assert texts(served, model=name, max_tokens=50, seed=2) == right.text
    finally:
        served.stop()


def test_sigterm_with_64_streams(folder: Path) -> None:
    served = Process("--models", str(folder), "--max-length", "3000")
    body = {"model": "one", "prompt": "It", "max_tokens": 3_000, "ignore_eos": True,
            "stream": True, "stream_options": {"include_usage": True}}  # fmt: skip

    def ask(seed: int) -> str:
        request = {**body, "seed": seed}
        return httpx.post(f"{served.url}/v1/completions", json=request, timeout=SECONDS).text

    with ThreadPoolExecutor(64) as pool:
        answers = [pool.submit(ask, seed) for seed in range(64)]
        served.until(lambda: "num_requests_running 64.0" in metrics(served))
        assert served.stop() == 0
        for answer in answers:
            *_, usage, done = answer.result().strip().split("\n\n")
            assert done == "data: [DONE]"
            assert json.loads(usage.removeprefix("data: "))["usage"]["completion_tokens"] == 3_000


def test_who_is_not_finished_in_time_is_told(folder: Path) -> None:
    served = Process("--models", str(folder), "--drain", "0", "--max-length", "1000000000")
    with ThreadPoolExecutor(2) as pool:
        whole, streamed = (
            pool.submit(completion, served.url, max_tokens=1_000_000_000, stream=stream)
            for stream in (False, True)
        )
        served.until(lambda: "num_requests_running 2.0" in metrics(served))
        assert served.stop() == 0
        assert whole.result().status_code == 503
        assert whole.result().headers["retry-after"]
        *_, error, done = streamed.result().text.strip().split("\n\n")
        assert "shutting down" in json.loads(error.removeprefix("data: "))["error"]["message"]
        assert done == "data: [DONE]"


def test_a_prompt_of_half_a_megabyte(process: Process, folder: Path) -> None:
    prompt = "It was " * 75_000
    refused = completion(process.url, prompt=prompt)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "prompt"
    served = Process("--models", str(folder), "--max-prompt", "1000000", "--max-body", "750000")
    try:
        for name in ("one", "two"):
            answer = completion(served.url, model=name, prompt=prompt, max_tokens=3).json()
            assert answer["usage"]["prompt_tokens"] == len(prompt)
            assert answer["choices"][0]["finish_reason"] == "length"
        assert completion(served.url, prompt=2 * prompt).status_code == 413
    finally:
        served.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of open files")
def test_connections_are_not_bound_by_the_limit_that_a_shell_starts_with(folder: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (96, limits[1]))  # which the process inherits
    try:
        served = Process("--models", str(folder))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    address = ("127.0.0.1", int(served.url.rpartition(":")[2]))
    try:
        with ExitStack() as idle:
            for _ in range(200):
                idle.enter_context(socket.create_connection(address, SECONDS))
            assert completion(served.url, max_tokens=2).status_code == 200
    finally:
        served.stop()
    assert not any("Too many open files" in line for line in served.lines)
