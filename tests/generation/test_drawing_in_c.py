"""Drawing in C: the NumPy sampler's bits, and one text however many tokens a call writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from textwright.configs import SamplingSettings
from textwright.engine import Engine
from textwright.errors import TextwrightError
from textwright.generation import Generator, continuation, load
from textwright.generation.continuation import Stream
from textwright.generation.cursor import MOST_AHEAD, Cursor
from textwright.generation.options import check
from textwright.generation.sampling import (
    CompiledSampler,
    LogitsProcessor,
    Sampler,
    exponentials,
    log_probabilities,
    logarithms,
    ranked,
)
from textwright.kernels import BUILDS, available, kernels
from textwright.kernels.sampling import Pending, log_softmax
from textwright.runs import Run

FAMILIES = ["lstm", "gpt", "transformer"]


@pytest.fixture(autouse=True)
def _there_are_kernels() -> None:
    if kernels().library is None:
        pytest.skip("needs compiled kernels: install a C compiler, then `python hatch_build.py`")


@pytest.fixture(params=BUILDS)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param not in available()[0]:
        pytest.skip(
            f"this processor, or its kernels as they were compiled, can't run {request.param}"
        )
    monkeypatch.setenv("TEXTWRIGHT_KERNELS", request.param)
    return kernels().library


def some_logits(random: np.random.Generator, size: int) -> np.ndarray:
    """Of any spread; with ties, with −∞, all equal, with both zeros, now and then no numbers."""
    logits = random.normal(0, random.choice([0.01, 1, 3, 30, 1000]), size).astype(np.float32)
    kind = random.integers(6)
    if kind == 1:
        logits = np.round(logits)
    elif kind == 2:
        logits[random.random(size) < 0.3] = -np.inf
    elif kind == 3:
        logits[:] = random.choice([-0.0, 0.0, 1.0], size)
    elif kind == 4 and random.random() < 0.3:
        logits[random.integers(size)] = random.choice([np.nan, np.inf])
    return logits


def some_settings(
    random: np.random.Generator, size: int
) -> tuple[SamplingSettings, dict[str, Any]]:
    temperatures = [0, 1, 0.8, 0.8, 2, 100, 1e-3, 1e-9, 1e-250, 5e-324]
    settings = SamplingSettings(
        temperature=random.choice(temperatures),
        top_k=int(random.choice([0, 0, -1, 1, 2, 5, 40, size, 10**9])),
        top_p=random.choice([1, 1, 0.9, 0.5, 0.1, 1e-9, 0.999999]),
        min_p=random.choice([0, 0, 0.05, 0.5, 0.99]),
        repetition_penalty=random.choice([1, 1, 1.3, 0.5, 100]),
    )
    biased = random.choice(size, min(size, 3), replace=False).tolist()
    processor = LogitsProcessor(
        bias={token: float(random.choice([-100, 100, 1.234])) for token in biased},
        presence_penalty=float(random.choice([0, 0.7, -1.1])),
        frequency_penalty=float(random.choice([0, 0.3, -0.5])),
    )
    return settings, {
        "suppress_tokens": np.flatnonzero(random.random(size) < 0.1)
        if random.random() < 0.3
        else (),
        "prompt_tokens": random.integers(0, size, 5).tolist(),
        "processor": processor if random.random() < 0.4 else None,
    }


def drawn(sampler: Sampler, logits: np.ndarray) -> int | str:
    try:
        return sampler.draw(logits)
    except TextwrightError as error:
        return str(error)


def compare(library: Any, random: np.random.Generator, count: int, draws: int) -> None:
    for _ in range(count):
        size = int(random.choice([1, 2, 3, 5, 7, 8, 9, 16, 17, 64, 65, 257, 1000]))
        settings, rest = some_settings(random, size)
        seed = int(random.integers(2**63 - 1))
        numpy = Sampler(settings, seed, **rest)
        compiled = CompiledSampler(library, size, settings, seed, **rest)
        for _ in range(draws):
            logits = some_logits(random, size)
            with np.errstate(all="ignore"):
                expected = drawn(numpy, logits), numpy.probabilities(logits)
                logs = log_probabilities(logits)
                assert drawn(compiled, logits) == expected[0], (settings, rest, logits)
                found = compiled.probabilities(logits)
            np.testing.assert_array_equal(found, expected[1])
            found, ids = log_softmax(library, logits, 7)
            if np.isfinite(logits.max()):
                np.testing.assert_array_equal(found, logs)
                assert ids.tolist() == ranked(logs, 7).tolist()
            else:
                assert np.isnan(found).all() and len(ids) == 0
            if isinstance(expected[0], str):
                break


def test_the_bits_of_the_reference(library: Any) -> None:
    compare(library, np.random.default_rng(1), 40, 6)


@pytest.mark.slow
def test_the_bits_of_the_reference_over_and_over(library: Any) -> None:
    compare(library, np.random.default_rng(2), 500, 8)


def test_powers_and_logarithms_are_near_the_true_ones() -> None:
    random = np.random.default_rng(1)
    x = -random.exponential(20, 20_000)
    np.testing.assert_allclose(exponentials(x), np.exp(x), rtol=4e-16)
    assert exponentials(np.array([0.0, -0.0, -708.1, -np.inf])).tolist() == [1, 1, 0, 0]
    y = 1 + random.exponential(3, 20_000) ** 6
    np.testing.assert_allclose(logarithms(y), np.log(y), rtol=4e-16)
    assert logarithms(np.array([1.0])).tolist() == [0]


def test_a_large_vocabulary() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(0, 2, (5, 30_001)).astype(np.float32)
    for top_k, top_p in ((0, 1.0), (40, 1.0), (20_000, 1.0), (0, 0.9), (1000, 0.5)):
        settings = SamplingSettings(temperature=1.0, top_k=top_k, top_p=top_p)
        numpy, compiled = (
            Sampler(settings, 4),
            CompiledSampler(kernels().library, 30_001, settings, 4),
        )
        for row in logits:
            assert compiled.draw(row) == numpy.draw(row)


def test_what_is_out_of_range_reaches_no_memory() -> None:
    library, settings = kernels().library, SamplingSettings(repetition_penalty=1.1)
    assert library is not None
    for rest in (
        {"suppress_tokens": [5]}, {"suppress_tokens": [-1]}, {"prompt_tokens": [1 << 40]},
        {"end_tokens": [5]}, {"processor": LogitsProcessor(bias={5: 1.0})},
    ):  # fmt: skip
        with pytest.raises(IndexError, match="vocabulary's 5"):
            CompiledSampler(library, 5, settings, 1, **rest)
    sampler = CompiledSampler(library, 5, settings, 1)
    for shape in ((4,), (6,), (1, 5)):
        with pytest.raises(ValueError, match="vocabulary of 5"):
            sampler.draw(np.zeros(shape, np.float32))
    strided = np.zeros((5, 2), np.float32)[:, 0]
    frozen = np.zeros(5, np.float32)
    frozen.flags.writeable = False
    assert {sampler.draw(strided), sampler.draw(frozen), sampler.draw(np.zeros(5))} <= set(range(5))


# Texts


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The limits of each call that writes ahead."""
    seen: list[int] = []
    write = continuation.write_ahead

    def recorded(drafts: Any) -> Any:
        drawn = write(drafts)
        seen.append(0 if drawn is None else max(map(len, drawn)))
        return drawn

    monkeypatch.setattr(continuation, "write_ahead", recorded)
    yield seen


REQUESTS: list[dict[str, Any]] = [
    {},
    {"temperature": 0},
    {"top_k": 3, "repetition_penalty": 1.3},
    {"top_p": 0.8, "logprobs": 3},
    {"min_p": 0.1, "stop": ["e", "th"]},
    {"temperature": 1.5, "stop": ["\n"], "logprobs": 0},
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["char", "word"])
def test_texts_are_those_of_the_reference(
    make_run: Callable[..., Run], family: str, kind: str, monkeypatch: pytest.MonkeyPatch,
    calls: list[int],
) -> None:  # fmt: skip
    """Token by token on the NumPy sampler, and many a call: whole, streamed, in steps, together."""
    model = load(make_run(family, kind))
    asked = [{"max_tokens": 60, "seed": seed, **REQUESTS[seed]} for seed in range(6)]
    ahead = [model.generate("It was", **options) for options in asked]
    assert max(calls) > 1
    assert ahead == [together(model.stream("It was", **options)) for options in asked]
    streamed = model.stream("It was", **asked[0])
    streamed.step()
    assert streamed.run() == ahead[0]  # the rest at once
    for options, whole in zip(asked[:3], ahead, strict=False):
        steps = list(model.steps("It was", **options))
        assert [one.token for one in steps] == whole.tokens
        cursor = Cursor(model.runtime)
        cursor.read(model.encode_prompt("It was").tokens)
        for one in steps:
            np.testing.assert_array_equal(one.logits, cursor.logits)
            cursor.read([one.token])
    with Engine(workers=2) as engine:
        jobs = [engine.stream(model, "It was", **options) for options in asked]
        assert [job.result(60) for job in jobs] == ahead

    def numpy(vocab_size: int, *arguments: Any, end_tokens: object, **options: Any) -> Sampler:
        return Sampler(*arguments, **options)

    monkeypatch.setattr(continuation, "new_sampler", numpy)
    assert ahead == [model.generate("It was", **options) for options in asked]
    assert calls[-1] == 0  # that sampler has nothing that a runtime could draw from


def together(stream: Stream) -> Any:
    text = "".join(stream)
    assert text == stream.generation.text
    return stream.generation


@pytest.mark.parametrize("family", FAMILIES)
def test_a_runtime_writes_in_company_what_it_writes_alone(
    make_run: Callable[..., Run], family: str
) -> None:
    model = load(make_run(family))
    library, size = kernels().library, model.runtime.vocab_size
    assert library is not None

    def begun(number: int) -> tuple[Any, CompiledSampler, int]:
        tokens = np.random.default_rng(number).integers(0, size, 3 + number)
        logits, state = model.runtime(tokens, model.runtime.initial_state(), last_only=True)
        settings = SamplingSettings(temperature=1.0, top_k=number)
        sampler = CompiledSampler(library, size, settings, number, end_tokens=[number])
        return state, sampler, sampler.draw(logits[0])

    limits = [1 + number % 7 for number in range(9)]

    def written(numbers: list[int], cut: int) -> list[list[int]]:
        """In calls of at most `cut` tokens."""
        texts = {number: begun(number) for number in numbers}
        tokens: dict[int, list[int]] = {number: [] for number in numbers}
        going = numbers
        while going:
            pending = [
                Pending(texts[n][0], texts[n][1].address, (tokens[n] or [texts[n][2]])[-1],
                        min(cut, limits[n] - len(tokens[n])))
                for n in going
            ]  # fmt: skip
            for n, drawn in zip(going, model.runtime.write(pending), strict=True):
                tokens[n] += drawn
            going = [n for n in going if len(tokens[n]) < limits[n] and tokens[n][-1] != n]
        return list(tokens.values())

    expected = [written([number], 1)[0] for number in range(9)]
    assert written(list(range(9)), 99) == written(list(range(9)), 2) == expected


def test_damaged_weights_are_an_error_at_the_token_they_spoil(gpt: Generator) -> None:
    """In the middle of a call too; what came before it stays, and asking again doesn't help."""
    runtime: Any = gpt.runtime

    class Spoiled:
        vocab_size, block_size, weight_bytes = runtime.vocab_size, None, 1

        def initial_state(self) -> Any:
            return self

        def copy(self) -> Any:
            return self

        def __call__(self, tokens: Any, state: Any, **_: Any) -> Any:
            return np.zeros((1, self.vocab_size), np.float32), self

        def batch(self, *_: Any) -> Any:
            raise AssertionError

        def write(self, texts: list[Pending]) -> list[list[int]]:
            assert texts[0].limit > 3
            return [[1, 2, -1]]

    model = Generator(Spoiled(), gpt.tokenizer)
    spoiled = model.stream("It", max_tokens=50)
    for _ in range(3):
        assert spoiled.step() is not None
    for _ in range(2):
        with pytest.raises(TextwrightError, match="not finite"):
            spoiled.step()
    assert spoiled.generation.tokens[1:] == [1, 2]


def test_who_waits_for_a_token_waits_for_few(
    make_run: Callable[..., Run], calls: list[int]
) -> None:
    """A large model writes one token a call; a small one many, but few before a stop string."""
    lstm = load(make_run("lstm", "char"))
    for weights, most in ((1, MOST_AHEAD), (1 << 24, 8), (1 << 30, 1)):
        calls.clear()
        lstm.runtime.weight_bytes = weights  # type: ignore[misc]
        pieces = lstm.stream("It", max_tokens=40, seed=2)
        next(pieces)
        next(pieces)
        assert calls == [0, most]
    lstm.runtime.weight_bytes = 1  # type: ignore[misc]
    calls.clear()
    lstm.generate("It", max_tokens=40, seed=2, stop="never there")
    assert max(calls) == continuation.BEFORE_STOP


def test_ids_that_end_a_text_may_be_any_number(gpt: Generator) -> None:
    request = check({"max_tokens": 9, "seed": 1}, gpt.defaults)
    ends = frozenset({-3, 7, 1 << 80})
    text = gpt.begin(gpt.encode_prompt("It"), replace(request, stop_tokens=ends), 1)
    assert text.draft(Cursor(gpt.runtime)) is None
    assert text.push(np.zeros(gpt.runtime.vocab_size, np.float32)) is not None
    assert text.draft(Cursor(gpt.runtime)) is not None


def test_a_reply_continues_where_the_last_one_stopped(gpt: Generator) -> None:
    """The cursor of a conversation has read what was said, not what was drawn beyond it."""
    dialogue = gpt.chat(max_tokens=30, seed=3, stop="e")
    said = [dialogue.say("It was"), dialogue.say("the best")]
    fresh = gpt.chat(max_tokens=30, seed=3, stop="e")
    fresh.say("It was")
    fresh._cursor = None
    assert [said[0], fresh.say("the best")] == said
    request = check({"max_tokens": 3, "seed": 1}, gpt.defaults)
    prompt, cursor = gpt.encode_prompt("It was"), Cursor(gpt.runtime)
    cursor.read(prompt.tokens)
    text = gpt.continue_from(cursor, prompt, request, 1, ahead=False)
    text.run()
    whole = Cursor(gpt.runtime)
    whole.read([*prompt.tokens, *text.generation.tokens])
    assert math.isclose(float(np.abs(cursor.logits - whole.logits).max()), 0)
