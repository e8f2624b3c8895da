"""Every family in NumPy gives the logits of torch, and of the stock classes."""

import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from small_models import Weights, random_weights, small_config
from textwright.configs import GPTConfig, ModelConfig, RecurrentConfig, TransformerConfig
from textwright.errors import RunError
from textwright.runtimes import Runtime, load_runtime
from textwright.runtimes.kv_cache import AttentionRuntime
from textwright.runtimes.torch_runtime import TorchRuntime

CONFIGS = [
    small_config("lstm"),
    small_config("lstm", hidden_size=[20, 12], tie_embeddings=True),
    small_config("gru"),
    small_config("gru", hidden_size=[24, 10]),
    small_config("rnn"),
    small_config("gpt"),
    small_config("gpt", tie_embeddings=True, num_layers=3, rope_theta=500.0, block_size=17),
    small_config("transformer"),
    small_config("transformer", activation="gelu", tie_embeddings=True, block_size=15),
    small_config("transformer", activation="gelu_erf", positions="learned"),
]
ATTENTION = [config for config in CONFIGS if config.order == "windows"]


def named(config: ModelConfig) -> str:
    return f"{config.family}-{CONFIGS.index(config)}"


every = pytest.mark.parametrize("config", CONFIGS, ids=named)
every_attention = pytest.mark.parametrize("config", ATTENTION, ids=named)


def some_tokens(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 40, count)


@every
def test_logits_equal_those_of_the_torch_model_past_the_context_too(config: ModelConfig) -> None:
    import torch

    from textwright.models import build

    weights = random_weights(config)
    model = build(config).eval()
    model.load_weights({name: torch.tensor(array) for name, array in weights.items()})
    tokens = some_tokens(60)
    with torch.no_grad():
        expected = model(torch.tensor(tokens)[None])[0][0].numpy()
    runtime = load_runtime(config, weights)
    logits, _ = runtime(tokens, runtime.initial_state())
    assert logits.dtype == np.float32 and logits.shape == (60, 40)
    assert np.abs(expected).max() > 0.5  # there is something to be equal to
    np.testing.assert_allclose(logits, expected, atol=2e-5)


@pytest.mark.parametrize("family", ["lstm", "gru", "rnn"])
def test_recurrent_layers_are_those_of_torch(family: str) -> None:
    import torch

    config = small_config(family, hidden_size=[20, 12])
    assert isinstance(config, RecurrentConfig)
    weights = random_weights(config)
    given = {name: torch.tensor(array) for name, array in weights.items()}
    tokens = some_tokens(30)
    with torch.no_grad():
        x = given["embedding.weight"][torch.tensor(tokens)]
        for number, (inputs, width) in enumerate(((12, 20), (20, 12))):
            layer = getattr(torch.nn, family.upper())(inputs, width)
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(layer, f"{part}_l0").copy_(given[f"layers.{number}.{part}"])
            x, _ = layer(x)
        expected = x @ given["output.weight"].T + given["output.bias"]
    runtime = load_runtime(config, weights)
    logits, _ = runtime(tokens, runtime.initial_state())
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5)


@pytest.mark.filterwarnings("default")  # of transformers
@pytest.mark.parametrize(
    "config",
    [
        small_config("gpt", rms_norm_eps=1e-3, rope_theta=100.0),
        small_config("gpt", tie_embeddings=True),
        small_config("transformer", activation="gelu", layer_norm_eps=1e-2),
        small_config("transformer", tie_embeddings=True),
    ],
    ids=["gpt", "gpt-tied", "transformer", "transformer-tied"],
)
def test_attention_models_are_the_stock_classes(config: ModelConfig) -> None:
    import torch
    from transformers import AutoConfig, GPT2LMHeadModel, Qwen3ForCausalLM

    data = config.to_json()
    stock_config = AutoConfig.for_model(**data)
    kind = Qwen3ForCausalLM if isinstance(config, GPTConfig) else GPT2LMHeadModel
    stock = kind(stock_config).eval()
    weights = random_weights(config)
    missing, unexpected = stock.load_state_dict(
        {name: torch.tensor(array) for name, array in weights.items()}, strict=False
    )
    assert not unexpected and set(missing) <= {"lm_head.weight"}
    stock.tie_weights()
    tokens = some_tokens(config.block_size)
    with torch.no_grad():
        expected = stock(torch.tensor(tokens)[None]).logits[0].numpy()
    runtime = load_runtime(config, weights)
    logits, _ = runtime(tokens, runtime.initial_state())
    np.testing.assert_allclose(logits, expected, atol=2e-5)


@every
@pytest.mark.parametrize("cut", [1, 7, 16, 25])
def test_it_does_not_matter_how_tokens_are_cut_into_calls(config: ModelConfig, cut: int) -> None:
    runtime = load_runtime(config, random_weights(config))
    tokens = some_tokens(80)
    whole, _ = runtime(tokens, runtime.initial_state())
    state = runtime.initial_state()
    parts = []
    for start in range(0, 80, cut):
        logits, state = runtime(tokens[start : start + cut], state)
        parts.append(logits)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)


@every_attention
def test_logits_past_the_context_are_as_defined(config: ModelConfig) -> None:
    """Literally: hold at most B tokens; when full, keep the last half and append."""
    runtime = load_runtime(config, random_weights(config))
    tokens = some_tokens(70)
    logits, _ = runtime(tokens, runtime.initial_state())
    window: list[int] = []
    for time, token in enumerate(tokens):
        if len(window) == config.block_size:
            window = window[-(config.block_size // 2) :]
        window.append(int(token))
        expected, _ = runtime(np.array(window), runtime.initial_state())
        np.testing.assert_allclose(logits[time], expected[-1], atol=1e-5)


@every
@pytest.mark.parametrize("length", [1, 15, 16, 17, 24, 25, 32, 33, 100])
def test_last_only_gives_the_last_row_and_a_state_to_go_on_from(
    config: ModelConfig, length: int
) -> None:
    runtime = load_runtime(config, random_weights(config))
    tokens, more = some_tokens(length), some_tokens(40, seed=2)
    for before in (0, 3, 20):  # tokens the state has seen already
        state = runtime.initial_state()
        other = runtime.initial_state()
        if before:
            _, state = runtime(some_tokens(before, seed=3), state)
            _, other = runtime(some_tokens(before, seed=3), other)
        last, state = runtime(tokens, state, last_only=True)
        whole, other = runtime(tokens, other)
        assert last.shape == (1, 40)
        np.testing.assert_allclose(last, whole[-1:], atol=1e-5)
        np.testing.assert_allclose(runtime(more, state)[0], runtime(more, other)[0], atol=1e-5)


@every_attention
def test_last_only_reads_no_more_than_a_context_of_a_long_text(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = load_runtime(config, random_weights(config))
    assert isinstance(runtime, AttentionRuntime)
    read = []
    encode = runtime.encode
    monkeypatch.setattr(
        runtime, "encode", lambda t, *more: (read.append(len(t)), encode(t, *more))[1]
    )
    runtime(some_tokens(100_000), runtime.initial_state(), last_only=True)
    assert sum(read) <= config.block_size


@every
def test_a_copied_state_goes_its_own_way(config: ModelConfig) -> None:
    runtime = load_runtime(config, random_weights(config))
    _, state = runtime(some_tokens(20), runtime.initial_state())
    copied = state.copy()
    first, _ = runtime(some_tokens(30, seed=2), state)
    again, _ = runtime(some_tokens(30, seed=2), copied)
    np.testing.assert_array_equal(first, again)


@every
def test_a_batch_gives_each_text_what_it_gets_alone(config: ModelConfig) -> None:
    runtime = load_runtime(config, random_weights(config))
    before = [some_tokens(length, seed=length) for length in (1, 5, 16, 30)]
    pieces = [some_tokens(length, seed=length) for length in (3, 1, 20, 1)]
    alone, together = [], []
    for states in (alone, together):
        states += [runtime(text, runtime.initial_state())[1] for text in before]
    logits, after = runtime.batch(pieces, together)
    assert logits.shape == (4, 40) and logits.dtype == np.float32
    for number, piece in enumerate(pieces):
        expected, state = runtime(piece, alone[number], last_only=True)
        np.testing.assert_array_equal(logits[number], expected[0])
        more = some_tokens(3)
        np.testing.assert_array_equal(runtime(more, after[number])[0], runtime(more, state)[0])


@every
def test_threads_share_a_runtime(config: ModelConfig) -> None:
    runtime = load_runtime(config, random_weights(config))
    expected = [runtime(some_tokens(50, seed), runtime.initial_state())[0] for seed in range(4)]
    found: dict[int, np.ndarray] = {}

    def work(seed: int) -> None:
        state = runtime.initial_state()
        rows = []
        for token in some_tokens(50, seed):
            logits, state = runtime(np.array([token]), state)
            rows.append(logits[0])
        found[seed] = np.array(rows)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        np.testing.assert_allclose(found[seed], expected[seed], atol=1e-5)


def test_a_large_vocabulary_needs_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_config("lstm")
    weights = random_weights(config)
    tokens = some_tokens(20)
    small = load_runtime(config, weights)
    monkeypatch.setattr("textwright.runtimes.compiled_recurrent.TABLE_VALUES", 0)
    large = load_runtime(config, weights)
    np.testing.assert_allclose(
        large(tokens, large.initial_state())[0], small(tokens, small.initial_state())[0], atol=1e-6
    )


def test_the_number_of_blas_threads_is_as_before() -> None:
    from threadpoolctl import threadpool_info, threadpool_limits

    def numbers() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    config = small_config("gpt")
    runtime = load_runtime(config, random_weights(config))
    with threadpool_limits(2, user_api="blas"):
        before = numbers()
        runtime(some_tokens(20), runtime.initial_state())
        with pytest.raises(IndexError):
            runtime(np.array([99]), runtime.initial_state())
        assert numbers() == before


@every
@pytest.mark.parametrize("kind", ["kernels", "numpy", "torch"])
def test_every_runtime_refuses_the_same_tokens(
    config: ModelConfig, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NumPy takes −1 for the last row of a table."""
    if kind == "torch":
        runtime: Runtime = TorchRuntime(config, random_weights(config))
    else:
        monkeypatch.setenv("TEXTWRIGHT_KERNELS", "auto" if kind == "kernels" else "off")
        runtime = load_runtime(config, random_weights(config))
    _, state = runtime(some_tokens(5), runtime.initial_state())
    copied = state.copy()
    one, first = np.array([1]), runtime.initial_state()
    refused = "^a token is not one of the vocabulary's 40, or there is none$"
    for bad in ([-1], [40], [3, -1], [1, 2, 1 << 40], []):
        tokens = np.array(bad, np.int64)
        with pytest.raises(IndexError, match=refused):
            runtime(tokens, state)
        with pytest.raises(IndexError, match=refused):
            runtime(tokens, state, last_only=True)
        with pytest.raises(IndexError, match=refused):
            runtime.batch([one, tokens], [first.copy(), state])
    # What was refused changed nothing
    after, _ = runtime(some_tokens(9), state)
    np.testing.assert_array_equal(after, runtime(some_tokens(9), copied)[0])


def test_a_family_without_numpy_code_runs_on_its_torch_model() -> None:
    class OwnConfig(GPTConfig):
        families = ("own",)

    weights = random_weights(small_config("gpt"))
    own = OwnConfig(**small_config("gpt").model_dump())
    runtime = load_runtime(own, weights)
    stock = load_runtime(small_config("gpt"), weights)
    assert type(runtime).__name__ == "TorchRuntime"
    tokens = some_tokens(40)
    state = runtime.initial_state()
    copied = state.copy()
    expected = stock(tokens, stock.initial_state())[0]
    np.testing.assert_allclose(runtime(tokens, state)[0], expected, atol=2e-5)
    last, _ = runtime(tokens, copied, last_only=True)
    np.testing.assert_allclose(last, expected[-1:], atol=2e-5)
    pieces = [tokens[:3], tokens[:7]]
    together, _ = runtime.batch(pieces, [runtime.initial_state() for _ in pieces])
    np.testing.assert_allclose(together, expected[[2, 6]], atol=2e-5)


def _drop(weights: Weights, name: str) -> None:
    del weights[name]


def _reshape(weights: Weights, name: str) -> None:
    weights[name] = weights[name][:-1]


def _poison(weights: Weights, name: str) -> None:
    weights[name].flat[0] = np.nan


@pytest.mark.parametrize(
    "family",
    ["lstm", "gru", "rnn", "gpt", "transformer"],
)
@pytest.mark.parametrize("spoil", [_drop, _reshape, _poison])
def test_every_tensor_is_checked(family: str, spoil: Callable[[Weights, str], None]) -> None:
    config = small_config(family)
    for name in random_weights(config):
        weights = random_weights(config)
        spoil(weights, name)
        with pytest.raises(RunError, match=name) as error:
            load_runtime(config, weights)
        assert "\n" not in str(error.value)


def test_configs_of_all_families_are_covered() -> None:
    kinds = {type(config) for config in CONFIGS}
    assert kinds == {RecurrentConfig, GPTConfig, TransformerConfig}


def held(value: Any) -> int:
    """Bytes of the arrays in a state."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, list | tuple):
        return sum(map(held, value))
    return sum(map(held, vars(value).values())) if hasattr(value, "__dict__") else 0


@pytest.mark.parametrize("family", ["lstm", "gpt", "transformer"])
def test_a_token_costs_the_same_forever(family: str) -> None:
    """As many calls and as many bytes however long the text, and no window over the context."""
    config = small_config(family, block_size=16)
    runtime = load_runtime(config, random_weights(config))
    state: Any = runtime.initial_state()
    token = np.array([1])
    calls, sizes = [], []
    for _ in range(30):
        events = 0

        def count(*_: object) -> None:
            nonlocal events
            events += 1

        sys.setprofile(count)
        try:
            for _ in range(4 * 8):  # windows begin at the multiples of 16 - 8
                _, state = runtime(token, state)
        finally:
            sys.setprofile(None)
        calls.append(events)
        sizes.append(held(state))
        assert getattr(state, "length", 0) <= 16
    assert len(set(calls[2:])) == 1 and calls[2] > 32
    assert len(set(sizes)) == 1 and sizes[0] > 0
