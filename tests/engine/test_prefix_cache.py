"""What was read is not read again: the same bits, bounded memory, for both kinds of models."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from small_models import random_weights, small_config
from textwright.engine import Engine
from textwright.engine.prefix_cache import Prefix
from textwright.generation import Generator
from textwright.generation.cursor import CHUNK
from textwright.runtimes import load_runtime
from textwright.tokenizers import Tokenizer

MakeModel = Callable[[str], Generator]
SECONDS = 200
BEGIN = "it was the best of times, it was the worst of times, " * 3
MORE = "it was the age of wisdom, it was the age of foolishness, " * 2


@pytest.fixture
def make_model(tokenizers: dict[str, Tokenizer]) -> MakeModel:
    """Models with a context of several chunks."""
    tokenizer = tokenizers["char"]

    def make(family: str) -> Generator:
        config: Any = small_config(family, tokenizer.vocab_size)
        if hasattr(config, "block_size"):
            config = config.model_copy(update={"block_size": 200})
        runtime = load_runtime(config, random_weights(config))
        return Generator(runtime, tokenizer, name=family)

    return make


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("family", ["gpt", "transformer", "lstm", "gru"])
def test_texts_are_the_same_to_the_bit(
    make_model: MakeModel, family: str, kernels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt again, one that goes on, one that branches off, and one beyond the context."""
    if not kernels:
        monkeypatch.setattr("textwright.runtimes.registry.COMPILED", {})
    model = make_model(family)
    longer, beyond = BEGIN + MORE, MORE * 5
    prompts = [BEGIN, BEGIN, longer, BEGIN[:100] + MORE, longer, "It", beyond, beyond]
    options: dict[str, Any] = {"max_tokens": 20, "seed": 5, "logprobs": 3}
    with Engine(workers=1) as engine, Engine(workers=1, prefix_memory=0) as cold:
        found = [engine.generate(model, prompt, **options) for prompt in prompts]
        read = [cold.generate(model, prompt, **options) for prompt in prompts]
        many = [engine.stream(model, prompt, **options) for prompt in prompts]
        assert [job.result(SECONDS) for job in many] == read
    assert found == read
    assert engine.cached_tokens[model.name] > 0 and cold.cached_tokens[model.name] == 0
    assert engine.cached_tokens[model.name] % CHUNK == 0


@pytest.mark.parametrize("family", ["gpt", "lstm"])
def test_the_second_reading_is_a_chunk(make_model: MakeModel, family: str) -> None:
    model = make_model(family)
    prompt = "it was the season of "
    tokens = len(model.encode_prompt(prompt * 2).tokens)
    assert CHUNK < tokens <= (model.runtime.block_size or tokens)
    with Engine(workers=1) as engine:
        engine.generate(model, prompt * 2, max_tokens=1)
        assert engine.prompt_tokens[model.name] == tokens
        engine.generate(model, prompt * 2, max_tokens=1)
    found = engine.cached_tokens[model.name]
    assert found == (tokens - 1) // CHUNK * CHUNK
    assert engine.prompt_tokens[model.name] == 2 * tokens - found


@pytest.mark.parametrize("family", ["gpt", "lstm"])
def test_memory_is_bounded_and_models_go(make_model: MakeModel, family: str) -> None:
    model = make_model(family)
    with Engine(workers=1, prefix_memory=400_000) as engine:
        cache = engine._runner._prefixes
        for number in range(60):
            engine.generate(model, chr(97 + number % 26) * 40 + BEGIN[number:], max_tokens=1)
            assert cache.used <= 400_000
            assert cache.used == sum(entry.size for entry in cache._entries.values())
        assert cache._entries
        gone = weakref.ref(model.runtime)
        del model
        gc.collect()
        assert gone() is None
        before = engine.cached_tokens[family]
        engine.generate(make_model(family), BEGIN[:70], max_tokens=1)
        assert engine.cached_tokens[family] == before  # another model's states are none of it


def test_what_was_used_longest_ago_goes_first(make_model: MakeModel) -> None:
    model = make_model("lstm")

    def found(engine: Engine, letter: str) -> bool:
        """Whether the state of a prompt is there; it is from now on."""
        before = engine.cached_tokens[model.name]
        engine.generate(model, letter * (CHUNK + 1), max_tokens=1)
        return engine.cached_tokens[model.name] > before

    with Engine(workers=1) as engine:
        assert not found(engine, "a")
        size = engine._runner._prefixes.used
    with Engine(workers=1, prefix_memory=2 * size) as engine:
        assert [found(engine, letter) for letter in "abasab"] == [
            False, False, True, False, True, False,
        ]  # fmt: skip
    with Engine(workers=1, prefix_memory=2 * size - 2) as engine:  # one would be more than half
        assert not found(engine, "a") and not found(engine, "a")


def test_prefixes_are_whole_chunks_and_leave_a_token() -> None:
    assert Prefix(range(CHUNK), False).keys == []
    assert len(Prefix(range(CHUNK + 1), False).keys) == 1
    long, other = Prefix(range(200), True), Prefix([*range(100), *range(100)], True)
    same = [a == b for a, b in zip(long.keys, other.keys, strict=True)]
    assert same == [True] * 3 + [False] * 3
