"""What a server promises, tried: `textwright serve` and llama.cpp's, on the same weights.

    python benchmarks/reliability.py --llama DIR/llama-server
    python benchmarks/reliability.py --soak 60

A `gpt` of random weights, exported to GGUF for llama.cpp, whose server is built or installed
outside of this repository. Each check prints a line for each server. Counts and equality don't
depend on how busy the machine is; seconds do.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import psutil

from serving import free_port, write_model
from streaming_clients import Outcome, stream

PROMPT = "It was the best of times, it was the worst of times"
SLOTS = 64


class Server:
    """A process that serves, and how it is asked."""

    def __init__(self, name: str, command: list[str], port: int, running: str) -> None:
        """
        Args:
            running: the metric that counts texts under way.
        """
        self.name, self.running = name, running
        self.url = f"http://127.0.0.1:{port}"
        self.asked = f"{self.url}/v1/completions"
        libraries = {"LD_LIBRARY_PATH": str(Path(command[0]).parent)}
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, **(libraries if "llama" in name else {})},
        )  # fmt: skip
        for _ in range(1200):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/health"):
                return
            time.sleep(0.1)
        raise SystemExit(f"{name} does not serve")

    def body(self, seed: int, tokens: int, **more: Any) -> dict[str, Any]:
        """A request whose text is drawn from the whole distribution; `ignore_eos` by both."""
        return {"model": "model", "prompt": PROMPT, "max_tokens": tokens, "seed": seed,
                "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "ignore_eos": True,
                **more}  # fmt: skip

    async def count(self) -> int:
        async with httpx.AsyncClient(timeout=60) as client:
            text = (await client.get(f"{self.url}/metrics")).text
        found = re.search(rf"^{self.running} (\d+)", text, re.MULTILINE)
        return int(found[1]) if found else 0

    @property
    def memory(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)


async def seeds(server: Server, tokens: int) -> str:
    """The same requests with seeds alone and five times together, texts and log probabilities."""
    async with httpx.AsyncClient(timeout=600, limits=httpx.Limits(max_connections=SLOTS)) as client:

        async def ask(seed: int) -> tuple[str, str]:
            answer = await client.post(server.asked, json=server.body(seed, tokens, logprobs=1))
            answer.raise_for_status()
            (choice,) = answer.json()["choices"]
            return choice["text"], json.dumps(choice["logprobs"])

        alone = [await ask(seed) for seed in range(SLOTS)]
        again = [await ask(seed) for seed in range(SLOTS)]
        rounds = [again]
        for _ in range(5):
            rounds.append(list(await asyncio.gather(*map(ask, range(SLOTS)))))

    def other(part: int) -> list[int]:
        return [sum(a[part] != b[part] for a, b in zip(alone, one, strict=True)) for one in rounds]

    return (f"of {SLOTS} that differ from those alone, alone again and five times together: "
            f"texts {other(0)}, log probabilities {other(1)}")  # fmt: skip


def spread(values: list[float]) -> str:
    cut = quantiles(values, n=100) if len(values) > 1 else values * 99
    return f"p50 {cut[49]:.3f} s, p99 {cut[98]:.3f} s"


def latencies(outcomes: list[Outcome]) -> str:
    firsts = [outcome.first for outcome in outcomes if outcome.first]
    pauses = [pause for outcome in outcomes for pause in outcome.pauses]
    return f"first token {spread(firsts)}; between events {spread(pauses)}"


async def ask_all(server: Server, count: int, tokens: int) -> list[Outcome]:
    asked = (stream(server.asked, server.body(seed, tokens, stream=True,
                    stream_options={"include_usage": True})) for seed in range(count))  # fmt: skip
    return list(await asyncio.gather(*asked))


async def at_once(server: Server, tokens: int) -> str:
    return latencies(await ask_all(server, SLOTS, tokens))


async def overload(server: Server, tokens: int) -> str:
    """Three times as many streams as there are places."""
    outcomes = await ask_all(server, 6 * SLOTS, tokens)
    statuses = Counter(outcome.status for outcome in outcomes)
    taken = [outcome for outcome in outcomes if outcome.status == 200]
    whole = sum(outcome.whole and outcome.tokens == tokens for outcome in taken)
    refused = max((one.seconds for one in outcomes if one.status == 429), default=0.0)
    # Who comes after the first text's end had to wait for a slot
    end = min(one.seconds for one in taken)
    soon, late = ([one for one in taken if (one.first < end) == side] for side in (True, False))
    said = "".join(f"; {len(part)} that began {name} the first text's end ({end:.1f} s): "
                   f"{latencies(part)}" for name, part in (("before", soon), ("after", late))
                   if part)  # fmt: skip
    return (f"{dict(statuses)}, {whole} of {len(taken)} whole, the last refusal after "
            f"{refused:.2f} s{said}")  # fmt: skip


async def open_stream(server: Server, seed: int, tokens: int) -> asyncio.StreamWriter:
    parts = urlsplit(server.asked)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1024)
    data = json.dumps(server.body(seed, tokens, stream=True)).encode()
    head = (f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json"
            f"\r\nContent-Length: {len(data)}\r\n\r\n")  # fmt: skip
    writer.write(head.encode() + data)
    await reader.readuntil(b"data: ")
    return writer


async def hang_ups(server: Server) -> str:
    """All places taken by long streams whose clients then go, five times."""
    took = []
    for _ in range(5):
        writers = await asyncio.gather(*(open_stream(server, seed, 4096) for seed in range(SLOTS)))
        began = time.perf_counter()
        for writer in writers:
            writer.transport.abort()
        while await server.count():
            await asyncio.sleep(0.002)
        took.append(time.perf_counter() - began)
    return f"{SLOTS} places free after {median(took):.3f} s (to {max(took):.3f})"


async def slow_readers(server: Server, tokens: int) -> str:
    """A probe while half of the places are of clients that read all, and of such that read none."""

    async def probe() -> float:
        outcomes = [await stream(server.asked, server.body(seed, tokens, stream=True))
                    for seed in range(10)]  # fmt: skip
        assert all(outcome.whole for outcome in outcomes)
        return median(outcome.seconds for outcome in outcomes)

    took = []
    for reads in (True, False):
        writers = await asyncio.gather(
            *(open_stream(server, seed, 4096) for seed in range(SLOTS // 2))
        )
        for writer in writers:
            if reads:  # the reader's own buffer is soon full
                writer.transport.get_protocol()._stream_reader._limit = 1 << 30  # type: ignore
            else:
                writer.transport.pause_reading()  # type: ignore[attr-defined]
        took.append(await probe())
        for writer in writers:
            writer.transport.abort()
        while await server.count():
            await asyncio.sleep(0.01)
    return (f"a text of {tokens} tokens: {took[0]:.3f} s beside {SLOTS // 2} that read, "
            f"{took[1]:.3f} s beside such that don't")  # fmt: skip


async def prefixes(server: Server) -> str:
    """The first token after 100 characters that are new, after such that were read before, and
    whether the text and its log probabilities are the same to the bit."""
    times: dict[str, list[float]] = {"new": [], "again": []}
    same = 0
    async with httpx.AsyncClient(timeout=600) as client:
        for number in range(20):
            prompt = f"{chr(65 + number)} {PROMPT} {PROMPT} {PROMPT} {PROMPT}"[:100]
            for each in times.values():
                body = server.body(1, 2, prompt=prompt, stream=True)
                each.append((await stream(server.asked, body)).first)
            body = server.body(1, 8, prompt=f"{chr(97 + number)} {prompt}"[:100], logprobs=1)
            read, found = [(await client.post(server.asked, json=body)).json()["choices"]
                           for _ in range(2)]  # fmt: skip
            same += read == found
    new, again = (1000 * median(each) for each in times.values())
    return (f"first token: new {new:.1f} ms, again {again:.1f} ms; texts and log probabilities "
            f"the same in {same} of 20")  # fmt: skip


async def replaced(server: Server, weights: Path, tokens: int) -> str:
    """The weights' file put in place anew, ten times, while 32 clients ask."""
    done = asyncio.Event()
    outcomes: list[Outcome] = []

    async def client(number: int) -> None:
        while not done.is_set():
            body = server.body(number, tokens, stream=True)
            outcomes.append(await stream(server.asked, body))

    clients = [asyncio.ensure_future(client(number)) for number in range(32)]
    for _ in range(10):
        copy = weights.with_suffix(".new")
        shutil.copy(weights, copy)
        copy.replace(weights)
        await asyncio.sleep(2.5)
    done.set()
    await asyncio.gather(*clients)
    failed = [one.status for one in outcomes if one.status != 200 or not one.whole]
    return f"{len(outcomes)} texts, ten replacements: {len(failed)} not whole {failed[:5]}"


def resources(server: Server) -> str:
    process = psutil.Process(server.process.pid)
    with process.oneshot():
        return (f"{process.memory_info().rss / 1e6:.0f} MB resident, {process.num_fds()} files, "
                f"{process.num_threads()} threads")  # fmt: skip


async def soak(server: Server, minutes: float, a_second: float) -> str:
    """Texts of all lengths after prompts that are new, a third of whose clients go early; what is
    held at each tenth."""
    counts: Counter[str] = Counter()

    async def whole(seed: int) -> None:
        body = server.body(seed, 1 + 5 * (seed % 32), stream=True, prompt=f"{seed} {PROMPT}")
        with contextlib.suppress(OSError):
            outcome = await stream(server.asked, body)
            if outcome.status == 200 and outcome.whole:
                counts["whole"] += 1
                return
        counts["not whole"] += 1

    async def leaving(seed: int) -> None:
        try:
            writer = await open_stream(server, seed, 500)
        except (OSError, EOFError):
            counts["not whole"] += 1
        else:
            writer.transport.abort()
            counts["left early"] += 1

    asked: set[asyncio.Task[None]] = set()
    began = time.monotonic()
    seed = tenth = 0
    while (passed := time.monotonic() - began) < 60 * minutes:
        if passed >= 6 * minutes * tenth:
            print(f"{server.name:17} soak, {passed / 60:.0f} minutes: {resources(server)}; "
                  f"{dict(counts)}", flush=True)  # fmt: skip
            tenth += 1
        if len(asked) < SLOTS:
            task = asyncio.ensure_future((leaving if seed % 3 == 2 else whole)(seed))
            asked.add(task)
            task.add_done_callback(asked.discard)
            seed += 1
        await asyncio.sleep(1 / a_second)
    await asyncio.gather(*asked)
    await asyncio.sleep(2)  # so that what is done is let go
    return f"the end: {resources(server)}; {dict(counts)}"


def start(arguments: argparse.Namespace, folder: Path) -> list[Server]:
    write_model(folder, arguments.size)
    (folder / arguments.size).rename(folder / "model")
    ours = [sys.executable, "-m", "textwright"]
    port = free_port()
    servers = [
        Server("textwright serve", [*ours, "serve", "--models", str(folder), "--port", str(port)],
               port, "textwright:num_requests_running"),
    ]  # fmt: skip
    if arguments.llama:
        gguf = folder / "model.gguf"
        subprocess.run([*ours, "export", str(folder / "model"), "--to", "gguf", "--out", str(gguf)],
                       check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        port = free_port()
        words = ["-m", str(gguf), "--port", str(port), "-np", str(SLOTS), "-c", str(256 * SLOTS),
                 "--metrics", "-t", str(os.cpu_count())]  # fmt: skip
        servers.append(
            Server("llama.cpp", [arguments.llama, *words], port, "llamacpp:requests_processing")
        )
    return servers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llama", help="llama.cpp's llama-server")
    parser.add_argument("--size", default="nano")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--checks", nargs="+", help="these alone, of: seeds, at_once, overload, "
                        "hang_ups, slow_readers, prefixes, replaced")  # fmt: skip
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="a soak, and nothing else")
    parser.add_argument("--a-second", type=float, default=8.0, help="requests of the soak")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        servers = start(arguments, folder)
        tokens = arguments.tokens
        weights = folder / "model" / "model.safetensors"
        checks: dict[str, Callable[[Server], Coroutine[Any, Any, str]]] = {
            "seeds": lambda server: seeds(server, tokens // 2),
            "at_once": lambda server: at_once(server, tokens),
            "overload": lambda server: overload(server, tokens),
            "hang_ups": hang_ups,
            "slow_readers": lambda server: slow_readers(server, tokens),
            "prefixes": prefixes,
            "replaced": lambda server: replaced(server, weights, tokens),
        }
        names = arguments.checks or list(checks)
        if arguments.soak:
            checks["soak"] = lambda server: soak(server, arguments.soak, arguments.a_second)
            names = ["soak"]
        try:
            for each in names:
                for server in servers[:1] if each == "replaced" else servers:
                    try:
                        said = asyncio.run(checks[each](server))
                    except (OSError, EOFError, httpx.HTTPError) as error:
                        said = f"failed: {type(error).__name__}: {error}"
                    print(f"{server.name:17} {each}: {said}", flush=True)
        finally:
            for server in servers:
                server.process.terminate()
            for server in servers:
                server.process.wait(60)


if __name__ == "__main__":
    main()
