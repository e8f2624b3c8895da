"""Which jobs run next, recorded: round robin, one model a batch, decoding shared by the workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from small_models import random_weights, small_config
from textwright.engine import Engine, Job, step
from textwright.engine.scheduler import ScheduledBatch, Scheduler
from textwright.errors import BusyError, RequestError
from textwright.generation import Generator
from textwright.generation.options import check
from textwright.runtimes import load_runtime
from textwright.tokenizers import Tokenizer

SECONDS = 60
"""To wait for what comes at once: a test that hangs ends."""


@pytest.fixture
def models(tokenizers: dict[str, Tokenizer]) -> dict[str, Generator]:
    """Two recurrent models, `a` and `b`, whose prompts are read to the last token."""
    tokenizer = tokenizers["char"]
    config = small_config("lstm", tokenizer.vocab_size)
    weights = random_weights(config)
    return {name: Generator(load_runtime(config, weights), tokenizer, name=name) for name in "ab"}


def job(model: Generator, prompt: str = "I", max_tokens: int = 3) -> Job:
    request = check({"max_tokens": max_tokens, "seed": 1}, model.defaults)
    return Job(model, model.encode_prompt(prompt), request)


def decoding(scheduler: Scheduler, jobs: Sequence[Job]) -> None:
    """Bring jobs, whose prompts are one token, into the decode queue in this order."""
    scheduler.add(jobs)
    while scheduler.next_batch() is not None:
        pass
    for each in jobs:
        scheduler.requeue(each, decoding=False)


def names(batch: ScheduledBatch | None, jobs: dict[str, Job]) -> str:
    assert batch is not None and batch.decoding
    return " ".join(name for each in batch.jobs for name, one in jobs.items() if one is each)


def run(batch: ScheduledBatch | None, scheduler: Scheduler) -> None:
    assert batch is not None
    for each in batch.jobs:
        scheduler.requeue(each, decoding=batch.decoding)


def test_three_long_prompts_of_two_models_take_turns(
    models: dict[str, Generator], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One chunk each; from the first that is read on, a token of who decodes between two chunks."""
    order: list[str] = []
    next_batch = Scheduler.next_batch

    def recorded(scheduler: Scheduler) -> ScheduledBatch | None:
        batch = next_batch(scheduler)
        if batch is not None:
            who = " ".join(("a1", "b1", "a2")[jobs.index(each)] for each in batch.jobs)
            order.append(f"{'decode' if batch.decoding else 'prefill'} {who}")
        return batch

    monkeypatch.setattr(Scheduler, "next_batch", recorded)
    monkeypatch.setattr(step, "write_ahead", lambda *_, **__: None)  # a token a step
    jobs = [job(models[name], "times, times and times it was a " * 3) for name in "aba"]
    assert [len(each.prompt.tokens) for each in jobs] == [96, 96, 96]
    with Engine(workers=1) as engine:
        engine.submit(jobs)
        for each in jobs:
            each.result(SECONDS)
    assert order == [
        *["prefill a1", "prefill b1", "prefill a2"] * 2, "prefill a1", "decode a1", "prefill b1",
        "decode a1", "prefill a2", "decode b1", "decode a2", "decode b1", "decode a2",
    ]  # fmt: skip


def test_jobs_of_another_model_keep_their_place(models: dict[str, Generator]) -> None:
    order = ["a1", "b1", "b2", "a2", "b3", "a3", "a4", "a5"]
    jobs = {name: job(models[name[0]]) for name in order}
    scheduler = Scheduler(slots=8, workers=2)
    decoding(scheduler, list(jobs.values()))
    turns = []
    for _ in range(5):
        batch = scheduler.next_batch()
        turns.append(names(batch, jobs))
        run(batch, scheduler)
    assert turns == ["a1 a2 a3 a4", "b1 b2 b3", "a5 a1 a2 a3", "a4 a5 a1 a2", "b1 b2 b3"]


def test_a_prompt_of_another_model_keeps_its_place(models: dict[str, Generator]) -> None:
    """Short prompts are read together, as many as make a chunk."""
    jobs = [job(models[name], "It was the") for name in "abbaaab"]  # 10 tokens: three in a chunk
    scheduler = Scheduler(slots=8, workers=1)
    scheduler.add(jobs)
    turns = [scheduler.next_batch() for _ in range(4)]
    indices = [[jobs.index(each) for each in batch.jobs] for batch in turns if batch is not None]
    assert indices == [[0, 3, 4], [1, 2, 6], [5]]


def test_workers_share_the_decoding_evenly(models: dict[str, Generator]) -> None:
    jobs = {f"a{number}": job(models["a"]) for number in range(5)}
    scheduler = Scheduler(slots=8, workers=2)
    decoding(scheduler, list(jobs.values()))
    first, second = scheduler.next_batch(), scheduler.next_batch()
    assert (names(first, jobs), names(second, jobs)) == ("a0 a1 a2", "a3 a4")
    assert scheduler.next_batch() is None
    assert first is not None
    for each in first.jobs:
        scheduler.release(each, decoding=True)
    run(second, scheduler)
    assert names(scheduler.next_batch(), jobs) == "a3"  # two are left: one for each worker


def test_a_step_is_of_several_tokens_only_where_no_prompt_waits(
    models: dict[str, Generator],
) -> None:
    scheduler = Scheduler(slots=8, workers=1)
    decoding(scheduler, [job(models["a"])])
    run(scheduler.next_batch(), scheduler)
    scheduler.add([job(models["a"]), job(models["b"])])
    told = []
    for _ in range(4):
        batch = scheduler.next_batch()
        assert batch is not None
        told.append((batch.decoding, batch.alone))
        run(batch, scheduler)
    assert told == [(False, False), (True, False), (False, False), (True, True)]


def test_two_workers_decode_at_once(models: dict[str, Generator]) -> None:
    """Each waits in its batch for the other: alone it would never come out."""
    model = models["a"]
    both = threading.Barrier(2)
    sizes: list[int] = []

    class Meeting:
        def __init__(self, runtime: Any) -> None:
            self._runtime = runtime
            self.vocab_size, self.block_size = runtime.vocab_size, runtime.block_size

        def initial_state(self) -> Any:
            return self._runtime.initial_state()

        def batch(self, tokens: Sequence[Any], states: Sequence[Any]) -> Any:
            if len(tokens) > 1 and len(sizes) < 2:
                sizes.append(len(tokens))
                both.wait(SECONDS)
            return self._runtime.batch(tokens, states)

    model.runtime = Meeting(model.runtime)  # type: ignore[assignment]
    with Engine(workers=2) as engine:
        engine.generate(model, "I", max_tokens=1)
        end = time.monotonic() + SECONDS
        while engine._idle_workers < 2:  # from now on a worker runs only if it is woken
            assert time.monotonic() < end
            time.sleep(0.001)
        jobs = engine.streams(model, "It was", 6, max_tokens=10, seed=1)
        for each in jobs:
            assert len(each.result(SECONDS).tokens) == 10
    assert sizes == [3, 3]


def test_texts_of_one_prompt_get_their_slots_together(models: dict[str, Generator]) -> None:
    """As many as there are; where one of them gives up, the others may fit."""
    prompt = models["a"].encode_prompt("It was")
    request = check({"max_tokens": 3, "seed": 1}, models["a"].defaults)
    group = [Job(models["a"], prompt, request) for _ in range(4)]
    scheduler = Scheduler(slots=3, workers=1)
    scheduler.add(group)
    assert (scheduler.running, scheduler.waiting) == (3, 1)
    for each in group[:3]:
        scheduler.release(each, decoding=False)
    scheduler.admit()
    three = [Job(models["a"], prompt, request) for _ in range(3)]
    scheduler.add(three)
    assert (scheduler.running, scheduler.waiting) == (1, 3)  # only two slots are free
    three[0].cancel()
    assert scheduler.drop_expired(now=0) == [three[0]]
    assert (scheduler.running, scheduler.waiting) == (3, 0)


def test_where_the_one_that_reads_is_cancelled_the_next_reads_for_the_rest(
    models: dict[str, Generator],
) -> None:
    first, *others = [job(models["a"]) for _ in range(4)]
    first.siblings = list(others)
    first.cancel()
    ended = step.StepRunner().run([first])
    assert first.outcome == "cancelled"
    assert ended.siblings == others[:1] and others[0].siblings == others[1:]


def test_a_client_with_its_share_of_the_slots_is_passed_over(models: dict[str, Generator]) -> None:
    scheduler = Scheduler(4, 1, share=3)
    greedy = [job(models["a"]) for _ in range(6)]
    for each in greedy:
        each.client = "greedy"
    other, nobody = job(models["a"]), job(models["a"])
    other.client = "other"
    scheduler.add(greedy)
    assert scheduler.running == 3 and scheduler.waiting == 3
    scheduler.add([other, nobody])
    assert scheduler.running == 4 and scheduler._of_clients == {"greedy": 3, "other": 1}
    for each in greedy[:2]:
        scheduler.release(each, decoding=False)
    scheduler.admit()  # in the order in which they came
    assert scheduler._of_clients == {"greedy": 3, "other": 1} and scheduler.waiting == 2
    for each in (other, *greedy[2:5]):
        scheduler.release(each, decoding=False)
    scheduler.admit()
    assert scheduler.jobs == {greedy[5], nobody} and scheduler._of_clients == {"greedy": 1}


def test_a_client_may_have_its_share_of_the_places(models: dict[str, Generator]) -> None:
    """Of 4 slots and 4 places to wait, 6; the others are for those who come later."""
    with Engine(slots=4, waiting=4, share=3, workers=1) as engine:
        long = [job(models["a"], max_tokens=100_000_000) for _ in range(7)]
        with pytest.raises(RequestError, match="6 can be taken"):
            engine.submit(long, client="greedy")
        engine.submit(long[:6], client="greedy")
        with pytest.raises(BusyError, match="of this client"):
            engine.submit(long[6:], client="greedy")
        one = job(models["a"])
        engine.submit([one], client="other")
        while not one.done:
            one.wait(SECONDS)
        assert one.outcome == "length" and engine.running == 3 and engine.waiting == 3
