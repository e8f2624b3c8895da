"""`textwright serve` beside `transformers serve` and the tutorials' FastAPI loop: same weights.

    python benchmarks/serving_peers.py --clients 1 16 64 --tokens 32 --repeats 2

A `gpt` of random weights, exported for transformers, which has its shape as a stock class. All
servers run at once and wait while another is asked; they take turns for every number of clients, in
an order that changes. Each client asks for one text, not streamed. A server's rate is its tokens by
the wall clock, which other work on the machine slows; its CPU time a token is hardly touched by it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from serving import free_port, write_model
from streaming_clients import Outcome, stream

PROMPT = "It was the best of times"
START_SECONDS = 180


class Server:
    """A process that serves, and the name by which it knows the model."""

    def __init__(self, name: str, model: str, port: int, command: list[str]) -> None:
        self.name, self.model = name, model
        self.url = f"http://127.0.0.1:{port}/v1/completions"
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
        )

    def body(self, tokens: int, seed: int) -> dict[str, Any]:
        return {"model": self.model, "prompt": PROMPT, "max_tokens": tokens, "seed": seed,
                "temperature": 1.0}  # fmt: skip

    def wait(self) -> None:
        """Until it answers; its first text is not measured."""
        until = time.monotonic() + START_SECONDS
        while True:
            data = json.dumps(self.body(4, 0)).encode()
            asked = urllib.request.Request(self.url, data, {"Content-Type": "application/json"})
            try:
                urllib.request.urlopen(asked, timeout=START_SECONDS).read()
            except (urllib.error.URLError, OSError):
                if time.monotonic() > until or self.process.poll() is not None:
                    raise SystemExit(f"{self.name} does not serve") from None
                time.sleep(0.2)
            else:
                return

    @property
    def cpu(self) -> float:
        """Seconds, of all its threads."""
        return sum(psutil.Process(self.process.pid).cpu_times()[:2])

    def measure(self, clients: int, tokens: int) -> tuple[float, float]:
        """Tokens a second, and CPU milliseconds a token."""

        async def ask() -> list[Outcome]:
            bodies = [self.body(tokens, seed) for seed in range(clients)]
            return list(await asyncio.gather(*(stream(self.url, body) for body in bodies)))

        cpu, began = self.cpu, time.perf_counter()
        outcomes = asyncio.run(ask())
        seconds = time.perf_counter() - began
        failed = [outcome.status for outcome in outcomes if outcome.status != 200]
        if failed:
            raise SystemExit(f"{self.name}: {len(failed)} of {clients} failed: {failed[:3]}")
        drawn = sum(outcome.tokens for outcome in outcomes)
        return drawn / seconds, 1000 * (self.cpu - cpu) / drawn


def start(folder: Path, size: str) -> list[Server]:
    exported = folder / "exported"
    ours = [sys.executable, "-m", "textwright"]
    subprocess.run(
        [*ours, "export", str(folder / size), "--to", "transformers", "--out", str(exported)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    first, second, third = free_port(), free_port(), free_port()
    theirs = "from transformers.cli.transformers import main; main()"
    return [
        Server("textwright serve", size, first,
               [*ours, "serve", str(folder / size), "--port", str(first)]),
        Server("transformers serve", str(exported), second,
               [sys.executable, "-c", theirs, "serve", str(exported), "--port", str(second),
                "--host", "127.0.0.1", "--device", "cpu"]),
        Server("FastAPI and generate", "any", third,
               [sys.executable, str(Path(__file__).with_name("tutorial_server.py")),
                str(exported), str(third)]),
    ]  # fmt: skip


def compare(servers: list[Server], clients: list[int], tokens: int, repeats: int) -> None:
    for count in clients:
        seen: dict[str, list[tuple[float, float]]] = {server.name: [] for server in servers}
        for turn in range(repeats):
            first = turn % len(servers)
            for server in (*servers[first:], *servers[:first]):
                seen[server.name].append(server.measure(count, tokens))
        ours = [rate for rate, _ in seen[servers[0].name]]
        for name, pairs in seen.items():
            rates = [rate for rate, _ in pairs]
            cpu = statistics.median(pair[1] for pair in pairs)
            ratios = [own / rate for own, rate in zip(ours, rates, strict=True)]
            print(
                f"{count:3} clients  {name:22} {statistics.median(rates):8,.0f} tokens/s"
                f" ({min(rates):,.0f} to {max(rates):,.0f}), {cpu:7.2f} ms of CPU a token;"
                f" textwright {statistics.median(ratios):.1f} times as fast", flush=True
            )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="small")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), arguments.size)
        servers = start(Path(folder), arguments.size)
        try:
            for server in servers:
                server.wait()
            compare(servers, arguments.clients, arguments.tokens, arguments.repeats)
        finally:
            for server in servers:
                server.process.terminate()
            for server in servers:
                server.process.wait(60)


if __name__ == "__main__":
    main()
