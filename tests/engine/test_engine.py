"""The engine: many texts at once, each as if it were alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from small_models import random_weights, small_config
from textwright.engine import Engine, Job
from textwright.engine.scheduler import Scheduler
from textwright.errors import BusyError, ClosedError, RequestError, TextwrightError
from textwright.generation import Generator, load
from textwright.generation.cursor import CHUNK
from textwright.runs import Run
from textwright.runtimes import load_runtime
from textwright.tokenizers import Tokenizer

MakeRun = Callable[..., Run]

SECONDS = 200
"""To wait for what comes at once: a test that hangs ends."""


class Watched:
    """A runtime that records the lengths of pieces of each batch, and can be made to wait."""

    def __init__(self, runtime: Any) -> None:
        self.inner = runtime
        self.vocab_size, self.block_size = runtime.vocab_size, runtime.block_size
        self.turns: list[list[int]] = []
        self.open = threading.Event()
        self.open.set()

    def initial_state(self) -> Any:
        return self.inner.initial_state()

    def __call__(self, tokens: Any, state: Any, *, last_only: bool = False) -> Any:
        return self.inner(tokens, state, last_only=last_only)

    def batch(self, tokens: Sequence[Any], states: Sequence[Any]) -> Any:
        self.open.wait(SECONDS)
        self.turns.append([len(piece) for piece in tokens])
        return self.inner.batch(tokens, states)


@pytest.fixture
def watched(tokenizers: dict[str, Tokenizer]) -> Generator:
    """A recurrent model, whose prompts are read to the last token."""
    tokenizer = tokenizers["char"]
    config = small_config("lstm", tokenizer.vocab_size)
    runtime = Watched(load_runtime(config, random_weights(config)))
    return Generator(runtime, tokenizer, name="watched")


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.001)


@pytest.mark.parametrize("family", ["gpt", "lstm", "transformer"])
def test_a_text_is_the_same_alone_and_among_64(make_run: MakeRun, family: str) -> None:
    model = load(make_run(family))
    texts = ["", "It was", "the worst of times,\n" * 5, "ROMEO: But"]
    requests = [
        (
            texts[number % 4],
            {
                "max_tokens": 20 + number % 17,
                "temperature": (0.0, 0.7, 1.3)[number % 3],
                "top_k": number % 5,
                "repetition_penalty": 1 + number % 2 / 5,
                "seed": number,
                "stop": ["th"] if number % 7 == 3 else None,
                "logprobs": 2 if number % 5 == 0 else None,
            },
        )
        for number in range(64)
    ]
    alone = [model.generate(prompt, **options) for prompt, options in requests]
    with Engine(slots=48, workers=2) as engine:
        jobs = [engine.stream(model, prompt, **options) for prompt, options in requests]
        assert [job.result(SECONDS) for job in jobs] == alone
        assert engine.generated_tokens == {model.name: sum(len(job.tokens) for job in jobs)}
        assert [
            "".join(engine.stream(model, prompt, **options)) for prompt, options in requests[:5]
        ]
        assert engine.running == engine.waiting == 0


def test_siblings_share_the_reading_of_their_prompt(watched: Generator) -> None:
    prompt = "the age of wisdom, " * 4
    with Engine(workers=1) as engine:
        jobs = engine.streams(watched, prompt, 5, max_tokens=8, seed=3)
        texts = [job.result(SECONDS).text for job in jobs]
    assert texts == [one.text for one in watched.generate_many(prompt, 5, max_tokens=8, seed=3)]
    assert engine.prompt_tokens == {"watched": len(prompt)}
    assert engine.generated_tokens == {"watched": 40}


def test_a_long_prompt_stalls_nobody(watched: Generator) -> None:
    """While it is read, those who write get a token for each chunk."""
    runtime: Any = watched.runtime
    runtime.open.clear()
    with Engine(workers=1) as engine:
        engine.stream(watched, "It", max_tokens=200)
        reader = engine.stream(watched, "best of times, " * 200, max_tokens=1)
        runtime.open.set()
        reader.result(SECONDS)
    turns = runtime.turns
    first = next(index for index, turn in enumerate(turns) if turn == [CHUNK])
    for chunk, token in zip(turns[first : first + 60 : 2], turns[first + 1 :: 2], strict=False):
        assert (chunk, token) == ([CHUNK], [1])


def test_a_short_prompt_need_not_wait_for_a_long_one(watched: Generator) -> None:
    with Engine(workers=1) as engine:
        long = engine.stream(watched, "best of times, " * 3000, max_tokens=1)
        short = engine.stream(watched, "It was", max_tokens=3)
        short.result(SECONDS)
        long.cancel()
        until(lambda: long.done)
    assert short.ended is not None and long.ended is not None
    assert short.ended < long.ended  # not `not long.done`, above: it may be read meanwhile


def test_cancelling_frees_the_slot_within_two_tokens(watched: Generator) -> None:
    with Engine(slots=1, workers=1) as engine:
        job = engine.stream(watched, "It was", max_tokens=10_000_000)
        until(lambda: len(job.tokens) > 5)
        runtime: Any = watched.runtime
        runtime.open.clear()
        job.cancel()
        written = len(job.tokens)
        runtime.open.set()
        until(lambda: engine.running == 0)
        assert len(job.tokens) - written <= 2
        assert job.outcome == "cancelled"
        runtime.open.clear()
        reading = engine.stream(watched, "times, " * 20_000, max_tokens=5)
        begun = len(runtime.turns)
        reading.cancel()
        runtime.open.set()
        until(lambda: engine.running == 0)
        assert len(runtime.turns) - begun <= 2
        assert not reading.tokens


def test_leaving_a_stream_cancels_it(watched: Generator) -> None:
    with Engine() as engine:
        job = engine.stream(watched, "It was", max_tokens=10_000_000)
        for _ in job:
            break
        until(lambda: engine.running == 0)
        assert job.outcome == "cancelled"


def test_the_queue_is_bounded_and_takes_all_or_none(watched: Generator) -> None:
    watched.runtime.open.clear()  # type: ignore[attr-defined]
    with Engine(slots=2, waiting=2, workers=1) as engine:
        jobs = [engine.stream(watched, "It", max_tokens=4, seed=seed) for seed in range(3)]
        with pytest.raises(BusyError, match="busy") as refused:
            engine.streams(watched, "It", 2)
        assert refused.value.retry_after >= 1
        jobs += engine.streams(watched, "It", 1, max_tokens=4, seed=3)
        assert (engine.running, engine.waiting) == (2, 2)
        with pytest.raises(RequestError, match="too many"):
            engine.streams(watched, "It", 5)
        watched.runtime.open.set()  # type: ignore[attr-defined]
        texts = [job.result(SECONDS).text for job in jobs]
    assert texts == [watched.generate("It", max_tokens=4, seed=seed).text for seed in range(4)]


def test_retry_after_is_how_long_jobs_took_of_late(
    watched: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A moving average from 1 s on, a tenth of it the latest, for each job that waits."""
    now = 0.0
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("textwright.engine.engine.time", clock)
    monkeypatch.setattr("textwright.engine.step.time", clock)
    runtime: Any = watched.runtime
    read = runtime.batch

    def takes_two_seconds(tokens: Sequence[Any], states: Sequence[Any]) -> Any:
        nonlocal now
        result = read(tokens, states)
        now += 2.0
        return result

    runtime.batch = takes_two_seconds

    def retry_after(engine: Engine) -> float:
        runtime.open.clear()
        jobs = [engine.stream(watched, "I", max_tokens=4) for _ in range(4)]
        with pytest.raises(BusyError) as refused:
            engine.stream(watched, "I")
        runtime.open.set()
        for job in jobs:
            job.result(SECONDS)
        return refused.value.retry_after

    with Engine(slots=1, waiting=3, workers=1) as engine:
        assert retry_after(engine) == pytest.approx(3 * 1.0)
        # Those four waited for one another: they took 8, 16, 24 and 32 s.
        mean = 1.0
        for seconds in (8, 16, 24, 32, *[8] * 20):
            mean += (seconds - mean) / 10
        for _ in range(20):
            engine.generate(watched, "I", max_tokens=4)
        assert retry_after(engine) == pytest.approx(3 * mean)
        for _ in range(40):
            engine.generate(watched, "I", max_tokens=1)  # 2 s each
        assert 3 * 2 < retry_after(engine) < 3 * 2.5


def test_a_deadline_gives_what_there_is(
    watched: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("textwright.engine.engine.time", clock)
    monkeypatch.setattr("textwright.engine.step.time", clock)
    with Engine(slots=1, workers=1) as engine:
        late = engine.stream(watched, "It was", max_tokens=10_000_000, seconds=60)
        waits = engine.stream(watched, "It was", max_tokens=5, seconds=30)
        until(lambda: len(late.tokens) > 3)
        now = 29.9
        written = len(late.tokens)
        until(lambda: len(late.tokens) > written + 3)
        assert not late.done and not waits.done
        now = 30.0
        assert waits.result(SECONDS).finish_reason == "length"
        assert waits.generation.text == "" and not late.done
        now = 60.0
        text = late.result(SECONDS)
        assert text.finish_reason == "length"
        assert written < len(text.tokens) < 10_000_000


def test_closing_finishes_what_there_is(watched: Generator) -> None:
    engine = Engine(slots=2, workers=2)
    jobs = [engine.stream(watched, "It", max_tokens=30, seed=seed) for seed in range(6)]
    assert engine.close(timeout=SECONDS)
    assert all(len(job.result(0).tokens) == 30 for job in jobs)
    with pytest.raises(ClosedError):
        engine.stream(watched, "It")
    hurried = Engine()
    job = hurried.stream(watched, "It", max_tokens=10_000_000)
    assert not hurried.close(timeout=0.1)
    assert job.outcome == "cancelled"
    assert Engine().close()


def test_one_failure_is_one_texts_own(watched: Generator, gpt: Generator) -> None:
    class Broken(Watched):
        def batch(self, tokens: Sequence[Any], states: Sequence[Any]) -> Any:
            logits, states = super().batch(tokens, states)
            return np.full_like(logits, np.nan), states

    broken = Generator(Broken(watched.runtime), watched.tokenizer, name="broken")
    with Engine() as engine:
        bad = engine.streams(broken, "It", 3, max_tokens=5)
        good = engine.stream(gpt, "It", max_tokens=5, seed=1)
        assert good.result(SECONDS) == gpt.generate("It", max_tokens=5, seed=1)
        for job in bad:
            with pytest.raises(TextwrightError, match="not finite"):
                job.result(SECONDS)
            assert job.outcome == "error"
        until(lambda: engine.running == 0)


def test_listeners_are_told_once_a_step(watched: Generator) -> None:
    sizes: list[int] = []
    finished = threading.Event()
    jobs: list[Job] = []

    class Recorder:
        def changed(self, changed_jobs: Sequence[Job]) -> None:
            sizes.append(len(changed_jobs))
            if all(job.done for job in jobs):
                finished.set()

    request = {"max_tokens": 20, "seed": 1}
    from textwright.generation.options import check

    checked = check(request, watched.defaults)  # type: ignore[arg-type]
    prompt = watched.encode_prompt("It was")
    jobs = [Job(watched, prompt, checked, seed) for seed in range(10)]
    with Engine(workers=1) as engine:
        engine.submit(jobs, Recorder())
        assert finished.wait(SECONDS)
    assert len(sizes) == 20
    assert max(sizes) == 10


def test_workers_of_an_idle_engine_sleep(
    watched: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None looks for work until there is some."""
    looks: list[None] = []
    next_batch = Scheduler.next_batch

    def counted(scheduler: Scheduler) -> Any:
        looks.append(None)
        return next_batch(scheduler)

    monkeypatch.setattr(Scheduler, "next_batch", counted)
    with Engine(workers=2) as engine:
        engine.generate(watched, "It", max_tokens=3)
        until(lambda: engine._idle_workers == 2)
        before = len(looks)
        time.sleep(0.3)
        assert len(looks) == before
        engine.generate(watched, "It", max_tokens=3)
        assert len(looks) > before


@pytest.mark.parametrize("family", ["gpt", "lstm"])
def test_what_breaks_a_batch_breaks_alone(make_run: MakeRun, family: str) -> None:
    """The others in it, in mid-text, get the texts that they get alone."""
    model = load(make_run(family))
    poison = model.tokenizer.encode("www")

    class Poisoned(Watched):
        """Fails on a text's fifth step, with the states of its batch half changed."""

        bad: Any = None
        steps = 0

        def batch(self, tokens: Sequence[Any], states: Sequence[Any]) -> Any:
            for piece, state in zip(tokens, states, strict=True):
                if piece.tolist()[:3] == poison:
                    self.bad = state
            if any(state is self.bad for state in states):
                self.steps += 1
                if self.steps >= 5:
                    self.inner.batch(tokens[:2], states[:2])
                    raise RuntimeError("poison")
            return super().batch(tokens, states)

    runtime = Poisoned(model.runtime)
    poisoned = Generator(runtime, model.tokenizer, name="poisoned")
    options: dict[str, Any] = {"max_tokens": 30, "seed": 1, "logprobs": 1}
    texts = ["It", "the best of times", "is a", "www", "was"]
    runtime.open.clear()
    with Engine(workers=1) as engine:
        jobs = [engine.stream(poisoned, text, **options) for text in texts]
        runtime.open.set()
        with pytest.raises(TextwrightError, match="RuntimeError"):
            jobs.pop(3).result(SECONDS)
        texts.pop(3)
        results = [job.result(SECONDS) for job in jobs]
    alone = [model.generate(text, **options) for text in texts]
    # Read again in chunks: without kernels the last bits of log probabilities may differ
    assert [each.tokens for each in results] == [each.tokens for each in alone]
    assert max(map(len, runtime.turns)) > 1
