"""Training in a browser's tab, run in Node: the numbers of NumPy and of torch."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable, Sequence
from itertools import product
from pydoc_data import topics
from typing import Any

import numpy as np
import pytest
import torch
from node import NODE, modules, run_script

from textwright import kernels
from textwright.configs import GPTConfig, ModelConfig, RecurrentConfig, TrainingSettings
from textwright.models import LanguageModel, build
from textwright.models.base import dropout_keys
from textwright.page.packing import page_config
from textwright.training.loop.batches import Streams, Windows, fresh_starts
from textwright.training.loop.evaluation import evaluate
from textwright.training.loop.learner import Learner
from textwright.training.optim.optimizer import Course, lr_multiplier

VOCABULARY = 41
TEXT = np.random.default_rng(0).integers(0, VOCABULARY, 6000).astype(np.int32)
STEPS = 10
CLOSE = 2e-5
"""Of numbers as large as 1, after ten steps: float32's own, added in other orders."""

LSTM: dict[str, Any] = {"block_size": 16, "embedding_size": 16, "vocab_size": VOCABULARY}
GPT: dict[str, Any] = {"block_size": 32, "hidden_size": 64, "num_heads": 2, "num_layers": 2,
                       "vocab_size": VOCABULARY}  # fmt: skip
CONFIGS: dict[str, ModelConfig] = {
    "lstm": RecurrentConfig(**LSTM, hidden_size=[32]),
    "lstm-layers": RecurrentConfig(**LSTM, hidden_size=[32, 48], dropout=0.2),
    "lstm-wide": RecurrentConfig(**LSTM, hidden_size=[80]),  # more rows than Muon's blocks have
    "lstm-tied": RecurrentConfig(**LSTM, hidden_size=[32, 16], tie_embeddings=True),
    "gpt": GPTConfig(**GPT),
    "gpt-tied": GPTConfig(**GPT, dropout=0.2, tie_embeddings=True),
}

Jobs = Callable[..., list[Any]]


@pytest.fixture(scope="module", name="there")
def _there(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    """Gives `learning.mjs` some jobs."""
    folder = modules(tmp_path_factory.mktemp("learning"))
    engine, reason = kernels.learning_engine()
    if engine is None:
        pytest.skip(f"{reason}: pip install ziglang, then `python hatch_build.py`")

    def there(*jobs: dict[str, Any], flags: Sequence[str] = (), kind: str = "") -> list[Any]:
        given: list[Any] = run_script("learning.mjs", folder, engine, kind, given=jobs, flags=flags)
        return given

    return there


def numbers(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.float32)


def sent(tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Tensors as a job has them."""
    return {
        name: {
            "shape": list(tensor.shape),
            "data": base64.b64encode(tensor.float().numpy().tobytes()).decode(),
        }
        for name, tensor in tensors.items()
    }


# --- draws ---------------------------------------------------------------------------------------


def test_seeds_and_streams_are_those_of_numpy(there: Jobs) -> None:
    seeds = [[0], [3, 0], [1, 2, 3], [2**31 - 1, 70_000, 2**33 + 5], [7, 8, 9, 10, 11, 12]]
    limits = [1, 2, 3, 64, 1_000_003, 2**31, 2**32 - 5]
    words = there(*({"kind": "words", "numbers": seed, "count": 9} for seed in seeds))
    for seed, found in zip(seeds, words, strict=True):
        assert found == np.random.SeedSequence(seed).generate_state(9).tolist()
    jobs = ({"kind": "draws", "numbers": seed, "below": limits, "shuffled": 700, "count": 20}
            for seed in seeds)  # fmt: skip
    for seed, found in zip(seeds, there(*jobs), strict=True):
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
        assert found["below"] == [int(generator.integers(limit)) for limit in limits]
        assert found["order"] == generator.permutation(700).tolist()
        assert found["uniform"] == generator.random(20).tolist()


@pytest.mark.parametrize("name", ["lstm", "gpt"])
def test_batches_are_those_of_python(there: Jobs, name: str) -> None:
    config, steps = CONFIGS[name], [0, 1, 45, 46, 47, 1000]
    text = np.where(TEXT % 7 == 0, ~TEXT, TEXT)[:3001]  # some tokens don't count
    (found,) = there({"kind": "batches", "config": page_config(config), "tokens": text.tolist(),
                      "batch": 4, "seed": 5, "steps": steps, "share": 0.4})  # fmt: skip
    batches = (Streams if name == "lstm" else Windows)(text, config.block_size, 4, 5)
    for step, batch in zip(steps, found, strict=True):
        assert batch["rows"] == batches.batch(step, 0, 4).tolist()
        assert batch["resets"] == batches.resets_state(step)
        assert batch["fresh"] == fresh_starts(5, step, 4, 0.4).tolist()
        assert np.array_equal(np.uint32(batch["keys"]).view(np.int32), dropout_keys(5, step, 0, 4))


def test_rates_are_those_of_python(there: Jobs) -> None:
    courses: list[Course] = [[(0, 50)], [(0, 40), (40, 90), (70, 100)]]
    kinds: list[Any] = ["linear", "cosine", "constant"]
    jobs, told = [], []
    for course, kind in product(courses, kinds):
        settings = TrainingSettings(schedule=kind, warmup=0.1, decay=0.5, final_learning_rate=0.1)
        steps = list(range(course[-1][1]))
        jobs.append({"kind": "rates", "settings": settings.model_dump(), "course": course,
                     "steps": steps})  # fmt: skip
        told.append([lr_multiplier(step, settings, course) for step in steps])
    for found, expected in zip(there(*jobs), told, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_seed_gives_the_weights_of_torch(there: Jobs, name: str) -> None:
    config = CONFIGS[name]
    (found,) = there({"kind": "initial", "config": page_config(config), "seed": 11})
    expected = dict(build(config, 11).named_parameters())
    assert list(found) == list(expected)
    for parameter, tensor in expected.items():
        numbers_there = numbers(found[parameter]).reshape(tensor.shape)
        np.testing.assert_allclose(numbers_there, tensor.detach(), atol=1e-5, err_msg=parameter)


# --- steps ---------------------------------------------------------------------------------------


def settings_of(config: ModelConfig, **changes: Any) -> TrainingSettings:
    fresh = 0.3 if config.order == "streams" else 0.0
    usual: dict[str, Any] = {
        "seed": 3, "batch_size": 8, "shards": 2, "steps": STEPS, "precision": "float32",
        "device": "cpu", "compile": "off", "threads": 1, "momentum": 0.9, "weight_decay": 0.03,
        "learning_rate": 6e-3, "fresh_starts": fresh,
    }  # fmt: skip
    return TrainingSettings(**usual | changes)


def training(config: ModelConfig, settings: TrainingSettings, **more: Any) -> dict[str, Any]:
    recipe = {
        "model": page_config(config),
        "training": settings.model_dump(),
        "course": [[0, STEPS]],
    }
    return {"kind": "train", "recipe": recipe, "tokens": TEXT.tolist(), "steps": STEPS, **more}


def assert_same_tensors(
    found: dict[str, Any], expected: dict[str, torch.Tensor], close: float = CLOSE
) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name]["shape"] == list(tensor.shape), name
        numbers_there = numbers(found[name]["data"]).reshape(tensor.shape)
        np.testing.assert_allclose(
            numbers_there, tensor.float(), atol=close, rtol=close, err_msg=name
        )


def random_weights(model: LanguageModel) -> dict[str, torch.Tensor]:
    """Of a model that has learned something: none of its matrices is 0, as some are at first."""
    generator = torch.Generator().manual_seed(2)
    return {
        name: torch.randn(one.shape, generator=generator) * 0.1 + ("norm" in name)
        for name, one in model.weights().items()
    }


@pytest.mark.parametrize(("name", "parent"), [*product(CONFIGS, [None]), ("lstm-wide", "another")])
def test_ten_steps_are_those_of_torch(there: Jobs, name: str, parent: str | None) -> None:
    """Losses, weights, what the optimisers keep and the carried state; and an evaluation."""
    config = CONFIGS[name]
    settings = settings_of(config, gradient_clip=0.5, parent=parent)
    learner = Learner(config, settings, TEXT, [(0, STEPS)])
    losses = [float(learner.step(step)) for step in range(STEPS)]
    (found,) = there(training(config, settings, wants=["tensors", "weights"],
                              evaluated=TEXT[:4100].tolist()))  # fmt: skip
    np.testing.assert_allclose(found["losses"], losses, atol=CLOSE)
    assert_same_tensors(found["tensors"], learner.tensors())
    assert_same_tensors(found["weights"], learner.model.weights())
    told = evaluate(learner.model, TEXT[:4100])
    assert found["evaluated"]["count"] == told.tokens
    assert found["evaluated"]["loss"] == pytest.approx(told.loss, abs=CLOSE)


@pytest.mark.parametrize("kind", ["plain", "relaxed"])
def test_older_and_newer_browsers_learn_the_same(there: Jobs, kind: str) -> None:
    """The engine is compiled for each."""
    assert NODE
    asked, flags = "--experimental-wasm-relaxed-simd", []
    if kind == "relaxed" and not there({"kind": "relaxed"})[0]:
        options = subprocess.run([NODE, "--v8-options"], capture_output=True, text=True, check=True)
        if asked not in options.stdout:
            pytest.skip("needs a Node whose WebAssembly has relaxed SIMD")
        flags = [asked]
    config = CONFIGS["lstm"]
    settings = settings_of(config)
    learner = Learner(config, settings, TEXT, [(0, STEPS)])
    losses = [float(learner.step(step)) for step in range(STEPS)]
    job = training(config, settings, wants=["tensors"])
    told, found = there({"kind": "relaxed"}, job, flags=flags, kind=kind)
    assert told or kind == "plain"
    np.testing.assert_allclose(found["losses"], losses, atol=CLOSE)
    assert_same_tensors(found["tensors"], learner.tensors())


@pytest.mark.parametrize("name", ["lstm-layers", "gpt-tied"])
def test_steps_of_adamw_from_other_weights_are_those_of_torch(there: Jobs, name: str) -> None:
    """AdamW divides gradients by their size, and so blows up the rounding of those near 0: with
    fresh weights, where many are, too much to compare; here to a tenth of a step's size."""
    config = CONFIGS[name]
    settings = settings_of(config, optimizer="adamw", weight_decay=0.1)
    learner = Learner(config, settings, TEXT, [(0, STEPS)])
    weights = random_weights(learner.model)
    learner.load_weights(weights)
    losses = [float(learner.step(step)) for step in range(STEPS)]
    (found,) = there(training(config, settings, weights=sent(weights), wants=["tensors"]))
    np.testing.assert_allclose(found["losses"], losses, atol=CLOSE)
    assert_same_tensors(found["tensors"], learner.tensors(), close=3e-4)


@pytest.mark.parametrize("name", ["lstm-layers", "gpt-tied"])
def test_two_workers_make_the_bytes_of_one(there: Jobs, name: str) -> None:
    config = CONFIGS[name]
    settings = settings_of(config, shards=4, gradient_clip=0.1)
    job = training(config, settings, wants=["tensors"], evaluated=TEXT[:2000].tolist())
    job["steps"] = 4
    one, two, three = there(*({**job, "workers": workers} for workers in (1, 2, 3)))
    for other in (two, three):
        assert other["losses"] == one["losses"]
        assert other["tensors"] == one["tensors"]
        assert other["evaluated"] == one["evaluated"]


@pytest.mark.parametrize("name", ["lstm", "gpt"])
def test_a_checkpoint_of_torch_goes_on_in_the_tab(there: Jobs, name: str) -> None:
    """And one of the tab goes on there as if it had never stopped."""
    config, half = CONFIGS[name], STEPS // 2
    settings = settings_of(config)
    learner = Learner(config, settings, TEXT, [(0, STEPS)])
    for step in range(half):
        learner.step(step)
    begun = sent(learner.tensors())
    job = training(config, settings, wants=["tensors"])
    whole, first, other = there(job, {**job, "steps": half},
                                {**job, "steps": half, "step": half, "tensors": begun})  # fmt: skip
    for step in range(half, STEPS):
        learner.step(step)
    assert_same_tensors(other["tensors"], learner.tensors())
    again = {**job, "steps": half, "step": half, "tensors": first["tensors"], "workers": 2}
    assert there(again)[0]["tensors"] == whole["tensors"]


@pytest.mark.parametrize("name", ["lstm", "gpt"])
def test_an_evaluation_reads_what_python_reads(there: Jobs, name: str) -> None:
    """Texts of a window, of several, in part; some of whose tokens don't count."""
    config = CONFIGS[name]
    model = build(config)
    weights = random_weights(model)
    model.load_weights(weights)
    text = np.where(TEXT % 5 == 0, ~TEXT, TEXT)
    job = training(config, settings_of(config), weights=sent(weights)) | {"steps": 0}
    cases = [(3, 0), (40, 256), (1000, 0), (1000, 256), (5000, 256), (5000, 3000)]
    jobs = [{**job, "evaluated": text[:count].tolist(), "limit": limit} for count, limit in cases]
    for (count, limit), found in zip(cases, there(*jobs), strict=True):
        told = evaluate(model, text[:count], limit=limit)
        assert found["evaluated"]["count"] == told.tokens, (count, limit)
        assert found["evaluated"]["loss"] == pytest.approx(told.loss, abs=1e-5), (count, limit)


def test_what_the_engine_does_not_hold_is_refused(there: Jobs) -> None:
    lstm, gpt = CONFIGS["lstm"], CONFIGS["gpt"]
    cases = {
        "this model is gru": (RecurrentConfig(**LSTM, family="gru", num_layers=1), {}),
        "one here is 20": (lstm.model_copy(update={"hidden_size": [20]}), {}),
        "vocabularies to 8192": (lstm.model_copy(update={"vocab_size": 9000}), {}),
        "blocks of a multiple of 16": (gpt.model_copy(update={"block_size": 20}), {}),
        "average of the weights": (lstm, {"ema_decay": 0.9}),
        "fewer than the 4096": (lstm.model_copy(update={"block_size": 512}), {}),
    }
    jobs = [training(config, settings_of(config, **changes)) for config, changes in cases.values()]
    jobs[-1]["tokens"] = jobs[-1]["tokens"][:4000]
    for expected, found in zip(cases, there(*jobs), strict=True):
        assert expected in found["problem"]
        assert "\n" not in found["problem"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        RecurrentConfig(vocab_size=128, block_size=64, hidden_size=[80], embedding_size=32),
        RecurrentConfig(
            vocab_size=128, block_size=64, hidden_size=[48, 64], embedding_size=32, dropout=0.1
        ),
        GPTConfig(vocab_size=128, block_size=32, hidden_size=64, num_heads=2, num_layers=2),
    ],
    ids=["lstm", "lstm-layers", "gpt"],
)
def test_after_many_steps_the_loss_is_that_of_torch(there: Jobs, config: ModelConfig) -> None:
    """Where rounding has had its way with the weights: prose of Python's own, of characters."""
    prose = "\n\n".join(topics.topics[name].strip() for name in sorted(topics.topics))[:65_000]
    places = {letter: place for place, letter in enumerate(sorted(set(prose)))}
    assert len(places) <= config.vocab_size
    text = np.array([places[letter] for letter in prose], dtype=np.int32)
    learned, held_out = text[:60_000], text[60_000:]
    steps = 60
    settings = settings_of(config, batch_size=16, shards=2, steps=steps)
    learner = Learner(config, settings, learned, [(0, steps)])
    for step in range(steps):
        learner.step(step)
    told = evaluate(learner.model, held_out)
    job = training(config, settings, workers=2, evaluated=held_out.tolist())
    job |= {"tokens": learned.tolist(), "steps": steps}
    job["recipe"]["course"] = [[0, steps]]
    (found,) = there(job)
    print(f"{told.loss:.4f} nats, in the tab {found['evaluated']['loss']:.4f}")
    assert told.loss < 3.3
    assert found["evaluated"]["loss"] == pytest.approx(told.loss, abs=0.002)
