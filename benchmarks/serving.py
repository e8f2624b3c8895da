"""Load on `textwright serve`: many streams at once, overload, memory over many requests.

A server of its own with a `gpt` of random weights, a second process that plays the clients:

    python benchmarks/serving.py --size small --streams 64 --requests 10000
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx2 as httpx
import psutil

from streaming_clients import Outcome, together

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))


def write_model(folder: Path, size: str) -> Path:
    from small_models import TEXT, random_weights, write_run
    from textwright.configs import GPTConfig
    from textwright.tokenizers import train_tokenizer
    from textwright.training.planning.presets import SIZES

    tokenizer = train_tokenizer("char", lambda: [TEXT])
    config = GPTConfig(family="gpt", vocab_size=tokenizer.vocab_size, **SIZES["gpt"][size].model)
    write_run(folder / size, config, random_weights(config), tokenizer)
    return folder


def body(model: str, tokens: int, seed: int) -> dict[str, Any]:
    return {"model": model, "prompt": "It was the best of times", "max_tokens": tokens,
            "seed": seed, "stream": True, "ignore_eos": True,
            "stream_options": {"include_usage": True}}  # fmt: skip


def streams(url: str, model: str, count: int, tokens: int) -> tuple[float, list[Outcome]]:
    bodies = [body(model, tokens, seed) for seed in range(count)]
    return together(f"{url}/v1/completions", bodies)


async def many(url: str, model: str, count: int, process: psutil.Process) -> list[int]:
    """Short requests, 32 at a time; resident bytes at every tenth of them."""
    held, left = [], list(range(count))

    async def work(client: httpx.AsyncClient) -> None:
        while left:
            seed = left.pop()
            asked = {"model": model, "prompt": "It", "max_tokens": 4, "seed": seed}
            (await client.post("/v1/completions", json=asked)).raise_for_status()
            if seed % max(1, count // 10) == 0:
                held.append(process.memory_info().rss)

    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        await asyncio.gather(*(work(client) for _ in range(32)))
    return held


def _measured(
    process: psutil.Process, work: Callable[[], tuple[float, list[Outcome]]]
) -> tuple[float, float, list[Outcome]]:
    """CPU seconds of the server before what `work` gives."""
    before = sum(process.cpu_times()[:2])
    seconds, outcomes = work()
    return sum(process.cpu_times()[:2]) - before, seconds, outcomes


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def clients(arguments: argparse.Namespace) -> None:
    """The second process."""
    url, model, tokens = arguments.url, arguments.size, arguments.tokens
    process = psutil.Process(arguments.pid)
    streams(url, model, 2, 16)
    for _ in range(arguments.repeats):
        cpu_alone, alone, (one,) = _measured(process, lambda: streams(url, model, 1, tokens))
        cpu, seconds, outcomes = _measured(
            process, lambda: streams(url, model, arguments.streams, tokens)
        )
        firsts = quantiles([outcome.first for outcome in outcomes], n=100)
        drawn = sum(outcome.tokens for outcome in outcomes)
        rate, single = drawn / seconds, one.tokens / alone
        each, each_alone = 1000 * cpu / drawn, 1000 * cpu_alone / one.tokens
        print(
            f"1 stream {single:,.0f} tokens/s, {each_alone:.2f} ms of CPU a token; "
            f"{arguments.streams} streams {rate:,.0f} tokens/s, {each:.2f} ms; "
            f"{rate / single:.2f} times as many a second, two free cores would give "
            f"{2 * each_alone / each:.2f}; first token p50 {firsts[49]:.3f} s, "
            f"p99 {firsts[98]:.3f} s", flush=True
        )  # fmt: skip
    over = 3 * arguments.places
    _, outcomes = streams(url, model, over, tokens)
    taken = [outcome for outcome in outcomes if outcome.status == 200]
    refused = sum(outcome.status == 429 for outcome in outcomes)
    whole = sum(outcome.whole and outcome.tokens == tokens for outcome in taken)
    print(f"{over} at once: {len(taken)} taken, {whole} of them whole, {refused} times 429",
          flush=True)  # fmt: skip
    if arguments.requests:
        held = asyncio.run(many(url, model, arguments.requests, process))
        shown = " ".join(f"{size / 1e6:.0f}" for size in held)
        print(f"MB resident over {arguments.requests} requests: {shown}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="small")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--places", type=int, default=128, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--pid", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.url:
        clients(arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), arguments.size)
        port = free_port()
        command = [sys.executable, "-m", "textwright", "serve", "--models", folder, "--port",
                   str(port)]  # fmt: skip
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{port}"
            while True:
                try:
                    if httpx.get(f"{url}/health").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.1)
            subprocess.run(
                [sys.executable, __file__, "--url", url, "--pid", str(server.pid), *sys.argv[1:]],
                check=True,
            )
        finally:
            server.terminate()
            server.wait(60)


if __name__ == "__main__":
    main()
