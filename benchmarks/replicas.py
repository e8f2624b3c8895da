"""Three replicas behind nginx under load: one is killed, one replaced, one stands still a while.

    python benchmarks/replicas.py

nginx has to be installed; its configuration is the one of docs/serving.md. Clients ask for texts
with seeds, whole and streamed, and compare each with what one server alone writes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2 as httpx

from serving import free_port, write_model

DOCS = Path(__file__).resolve().parents[1] / "docs" / "serving.md"
SEEDS = 16
TOKENS = 200


class Replica:
    """`textwright serve` on a port, which may go and come again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "textwright", "serve", "--models", str(self.folder),
                   "--port", str(self.port), "--host", "127.0.0.1"]  # fmt: skip
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def wait(self) -> None:
        while True:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health"):
                return
            time.sleep(0.1)


def configuration(folder: Path, port: int, replicas: list[Replica]) -> str:
    """nginx's, from the documentation, with the addresses of this run."""
    (block,) = re.findall(r"```nginx\n(.*?)```", DOCS.read_text(), re.DOTALL)
    addresses = iter(f"127.0.0.1:{replica.port}" for replica in replicas)
    block = re.sub(r"replica-\d:8000", lambda _: next(addresses), block)
    block = block.replace("listen 80;", f"listen 127.0.0.1:{port};")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    return (
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off;\n{paths}{block}}}\n"
    )


def body(seed: int, stream: bool) -> dict[str, Any]:
    return {"model": "model", "prompt": "It was", "max_tokens": TOKENS, "seed": seed,
            "ignore_eos": True, "stream": stream}  # fmt: skip


async def ask(client: httpx.AsyncClient, seed: int, stream: bool) -> str:
    if not stream:
        answer = await client.post("/v1/completions", json=body(seed, False))
        answer.raise_for_status()
        return str(answer.json()["choices"][0]["text"])
    text, ended = "", False
    async with client.stream("POST", "/v1/completions", json=body(seed, True)) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if line == "data: [DONE]":
                ended = True
            elif line.startswith("data: "):
                event = json.loads(line[6:])
                if "error" in event:
                    raise RuntimeError(event["error"]["message"])
                text += event["choices"][0]["text"]
    if not ended:
        raise RuntimeError("the stream ended without [DONE]")
    return text


async def load(url: str, texts: list[str], clients: int, stop: asyncio.Event) -> Counter[str]:
    """What came of all requests, by kind."""
    counts: Counter[str] = Counter()

    async def run(number: int) -> None:
        stream = number % 2 == 1
        kind = "streamed" if stream else "whole"
        async with httpx.AsyncClient(base_url=url, timeout=120) as client:
            seed = number
            while not stop.is_set():
                seed = (seed + 1) % SEEDS
                try:
                    same = await ask(client, seed, stream) == texts[seed]
                    counts[f"{kind}: {'the same text' if same else 'ANOTHER TEXT'}"] += 1
                except (httpx.HTTPError, RuntimeError) as error:
                    counts[f"{kind}: {type(error).__name__}: {str(error)[:90]}"] += 1

    await asyncio.gather(*(run(number) for number in range(clients)))
    return counts


async def events(replicas: list[Replica], stop: asyncio.Event) -> None:
    killed, replaced, slow = replicas
    await asyncio.sleep(5)
    killed.process.send_signal(signal.SIGKILL)
    print("one killed", flush=True)
    await asyncio.sleep(5)
    killed.process.wait()
    killed.start()
    await asyncio.to_thread(killed.wait)
    print("and started again", flush=True)
    await asyncio.sleep(3)
    replaced.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(replaced.process.wait)
    print("one told to stop, and gone", flush=True)
    replaced.start()
    await asyncio.to_thread(replaced.wait)
    await asyncio.sleep(3)
    slow.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(5)
    slow.process.send_signal(signal.SIGCONT)
    print("one stood still for five seconds", flush=True)
    await asyncio.sleep(5)
    stop.set()


async def conversations(url: str) -> None:
    """Six that grow by turns, each named by a header."""
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        for turns in range(1, 6):
            for number in range(6):
                said = " ".join([f"This is conversation {number}."] * turns)
                answer = await client.post(
                    "/v1/completions",
                    json={"model": "model", "prompt": said, "max_tokens": 4},
                    headers={"x-conversation": str(number)},
                )
                answer.raise_for_status()


async def measure(url: str, replicas: list[Replica], clients: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{replicas[0].port}",
                                 timeout=120) as client:  # fmt: skip
        texts = [await ask(client, seed, False) for seed in range(SEEDS)]
    before = cached(replicas)
    await conversations(url)
    found = [now - then for now, then in zip(cached(replicas), before, strict=True)]
    print(f"conversations by their header: {found} tokens found in the caches", flush=True)
    stop = asyncio.Event()
    counts, _ = await asyncio.gather(load(url, texts, clients, stop), events(replicas, stop))
    for kind, count in sorted(counts.items()):
        print(f"{count:6,}  {kind}")


def cached(replicas: list[Replica]) -> list[int]:
    counts = []
    for replica in replicas:
        with urllib.request.urlopen(f"http://127.0.0.1:{replica.port}/metrics") as answer:
            text = answer.read().decode()
        found = re.search(r"^textwright:prefix_cache_hits_total\{[^}]*\} (\d+)", text, re.MULTILINE)
        counts.append(int(found[1]) if found else 0)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="nano")
    parser.add_argument("--clients", type=int, default=24)
    arguments = parser.parse_args()
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if nginx is None:
        raise SystemExit("nginx is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder / "models", arguments.size)
        (folder / "models" / arguments.size).rename(folder / "models" / "model")
        replicas = [Replica(folder / "models") for _ in range(3)]
        port = free_port()
        file = folder / "nginx.conf"
        file.write_text(configuration(folder, port, replicas))
        proxy = subprocess.Popen([nginx, "-c", str(file), "-p", name])
        try:
            for replica in replicas:
                replica.wait()
            asyncio.run(measure(f"http://127.0.0.1:{port}", replicas, arguments.clients))
        finally:
            proxy.terminate()
            proxy.wait(20)
            for replica in replicas:
                replica.process.send_signal(signal.SIGCONT)
                replica.process.terminate()
            for replica in replicas:
                replica.process.wait(90)


if __name__ == "__main__":
    main()
