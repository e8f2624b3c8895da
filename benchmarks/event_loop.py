"""How long `textwright serve` keeps its event loop from everybody else, under a mixed load.

    python benchmarks/event_loop.py

The server runs in this process, with the engine's threads; clients are in a second one. Each call
of the event loop is measured by the CPU time of its thread, which other work on the machine hardly
touches. What a thread's call into C holds of Python's global lock is not in it: of a JSON body of a
few megabytes, some milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from asyncio import events
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from serving import write_model
from streaming_clients import stream

BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.02, float("inf"))


class Watched:
    """The calls of one thread's event loop: how many took how long, and the longest."""

    def __init__(self) -> None:
        self.counts: Counter[float] = Counter()
        self.longest: list[tuple[float, str]] = []
        self.thread: threading.Thread | None = None
        self.inside = False
        self.samples: list[str] = []
        self.run = events.Handle._run

    def sample(self) -> None:
        """Look, each half a millisecond, where the loop's thread stands."""
        while True:
            time.sleep(0.0005)
            if self.inside and self.thread is not None:
                frame = sys._current_frames().get(self.thread.ident or 0)
                stack = []
                while frame is not None:
                    if not stack or "textwright" in frame.f_code.co_filename:
                        stack.append(f"{Path(frame.f_code.co_filename).stem}:{frame.f_lineno}")
                    frame = frame.f_back
                self.samples.append(" < ".join(stack[:4]))

    def install(self) -> None:
        threading.Thread(target=self.sample, daemon=True).start()

        def timed(handle: Any) -> None:
            if threading.current_thread() is not self.thread:
                self.run(handle)
                return
            self.samples = []
            self.inside = True
            began = time.thread_time()
            self.run(handle)
            seconds = time.thread_time() - began
            self.inside = False
            self.counts[next(each for each in BUCKETS if seconds <= each)] += 1
            if seconds > 0.001:
                where = Counter(self.samples).most_common(1)
                self.longest.append((seconds, where[0][0] if where else _name(handle)))

        events.Handle._run = timed  # type: ignore[method-assign]


def _name(handle: Any) -> str:
    """Of what was called: a task's coroutine, where it stands now."""
    task = getattr(handle._callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        frames = task.get_stack(limit=1)
        where = f" at {frames[0].f_code.co_qualname}" if frames else ""
        return f"{getattr(task.get_coro(), '__qualname__', task)}{where}"
    return getattr(handle._callback, "__qualname__", repr(handle._callback))


def bodies(model: str, ids: int) -> list[tuple[str, dict[str, Any]]]:
    """One request of each kind that is large in one way."""
    long = "It was the best of times, it was the worst of times. " * 1200  # 63,600 characters
    words = [{"role": "user", "content": "It was the best of times."}] * 999
    return [
        ("/v1/completions", {"prompt": "It", "n": 16, "max_tokens": 300, "logprobs": 20}),
        ("/v1/completions", {"prompt": [long] * 40, "max_tokens": 1}),
        ("/v1/completions", {"prompt": [[1] * ids] * 60, "max_tokens": 1}),
        ("/v1/completions", {"prompt": [[1] * ids + [None]] * 60, "max_tokens": 1}),
        ("/v1/completions", {"prompt": long[:4000], "echo": True, "logprobs": 20, "max_tokens": 0}),
        ("/v1/completions", {"prompt": "It", "n": 16, "max_tokens": 200, "stream": True}),
        ("/v1/chat/completions", {"messages": words, "max_tokens": 20}),
        ("/v1/chat/completions", {"messages": words[:3], "max_tokens": 200, "logprobs": True,
                                  "top_logprobs": 20, "stream": True}),
        ("/v1/responses", {"input": words, "max_output_tokens": 20}),
        ("/api/generate", {"prompt": long, "options": {"num_predict": 20}}),
        ("/gen_text_bulk", {"inputs": [{"model_name": model, "start_phrase": long[:60_000],
                                        "generation_length": 1}] * 60}),
    ]  # fmt: skip


async def clients(url: str, model: str, rounds: int) -> None:
    for _ in range(rounds):
        asked = [
            stream(url + path, body if path == "/gen_text_bulk" else {"model": model, **body})
            for path, body in bodies(model, 1500)
        ]
        outcomes = await asyncio.gather(*asked)
        print(" ".join(str(outcome.status) for outcome in outcomes), flush=True)


def serve(folder: Path, size: str, rounds: int) -> Watched:
    import uvicorn

    from textwright.engine import Engine, ModelPool
    from textwright.runs import Run
    from textwright.serving import Metrics, ServerSettings, create_app
    from textwright.serving.protocol import Protocol
    from textwright.serving.server import SWITCH_INTERVAL, _Server, listen

    sys.setswitchinterval(SWITCH_INTERVAL)
    watched = Watched()
    watched.install()
    metrics = Metrics()
    engine = Engine(observer=metrics, slots=64, waiting=256)
    settings = ServerSettings(max_logprobs=10_000_000)
    app = create_app(ModelPool([Run(folder / size)]), engine, settings, metrics)
    socket = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, http=Protocol, loop="asyncio", log_config=None, access_log=False)
    server = _Server(config, engine, settings.drain)
    thread = threading.Thread(target=server.run, args=([socket],))
    thread.start()
    url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    for path in ("/health", "/openapi.json"):
        while True:
            with suppress(OSError), urllib.request.urlopen(url + path) as answer:
                answer.read()
                break
            time.sleep(0.1)
    watched.thread = thread
    subprocess.run([sys.executable, __file__, "--url", url, "--size", size, "--rounds",
                    str(rounds)], check=True)  # fmt: skip
    watched.thread = None
    server.should_exit = True
    thread.join()
    return watched


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="nano")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.url:
        asyncio.run(clients(arguments.url, arguments.size, arguments.rounds))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), arguments.size)
        watched = serve(Path(folder), arguments.size, arguments.rounds)
    lower = 0.0
    for bound in BUCKETS:
        print(f"over {1000 * lower:g} ms, up to {1000 * bound:g}: {watched.counts[bound]:,} calls")
        lower = bound
    for seconds, name in sorted(watched.longest, reverse=True)[:15]:
        print(f"{1000 * seconds:.1f} ms  {name}")


if __name__ == "__main__":
    main()
