"""Drawing tokens: what each setting keeps, in which order, and that a seed decides everything."""

import numpy as np
import pytest

from textwright.configs import SamplingSettings
from textwright.errors import RequestError, TextwrightError
from textwright.generation import Sampler
from textwright.generation.sampling import log_probabilities, ranked

P = np.array([0.1, 0.4, 0.2, 0.25, 0.05])
LOGITS = np.log(P).astype(np.float32)


def sampler(seed: int = 1, suppress_tokens: tuple[int, ...] = (), read: tuple[int, ...] = (),
            **settings: object) -> Sampler:  # fmt: skip
    settings = {"temperature": 1.0, **settings}
    return Sampler(
        SamplingSettings(**settings), seed, suppress_tokens=suppress_tokens, prompt_tokens=read
    )


def spread(**settings: object) -> list[float]:
    return [round(float(p), 4) for p in sampler(**settings).probabilities(LOGITS)]


def test_nothing_set_is_the_models_own_distribution() -> None:
    assert spread() == [0.1, 0.4, 0.2, 0.25, 0.05]


def test_temperature_divides_the_logits() -> None:
    expected = P**2 / (P**2).sum()
    np.testing.assert_allclose(sampler(temperature=0.5).probabilities(LOGITS), expected, rtol=1e-5)
    assert max(spread(temperature=100.0)) < 0.21


@pytest.mark.parametrize("temperature", [1e-9, 5e-324])
def test_a_tiny_temperature_is_nearly_greedy(temperature: float) -> None:
    assert spread(temperature=temperature) == [0, 1, 0, 0, 0]
    assert sampler(temperature=temperature).draw(LOGITS) == 1


def test_greedy_takes_the_likeliest_of_equals_the_first() -> None:
    draw = sampler(temperature=0)
    assert draw.draw(LOGITS) == 1
    assert draw.draw(np.array([0, 3, 1, 3], np.float32)) == 1
    assert spread(temperature=0) == [0, 1, 0, 0, 0]


@pytest.mark.parametrize("top_k", [0, -1, 5, 99])
def test_top_k_may_keep_all(top_k: int) -> None:
    assert spread(top_k=top_k) == spread()


def test_top_k_keeps_exactly_k_of_equals_the_first() -> None:
    assert spread(top_k=2) == [0, 0.6154, 0, 0.3846, 0]
    equal = sampler(top_k=3).probabilities(np.zeros(6, np.float32))
    assert equal.tolist() == [1 / 3, 1 / 3, 1 / 3, 0, 0, 0]


def test_top_p_includes_the_token_that_reaches_it() -> None:
    assert spread(top_p=0.3) == [0, 1, 0, 0, 0]
    assert spread(top_p=0.5) == [0, 0.6154, 0, 0.3846, 0]
    assert spread(top_p=0.7) == [0, 0.4706, 0.2353, 0.2941, 0]
    assert spread(top_p=1e-9) == [0, 1, 0, 0, 0]


def test_top_p_counts_what_top_k_left() -> None:
    # of 0.4 + 0.25 the first is 61 % already
    assert spread(top_k=2, top_p=0.6) == [0, 1, 0, 0, 0]


def test_min_p_is_relative_to_the_likeliest() -> None:
    assert spread(min_p=0.45) == [0, 0.4706, 0.2353, 0.2941, 0]
    assert spread(min_p=0.99) == [0, 1, 0, 0, 0]


def test_repetition_penalty_shrinks_what_was_read_or_drawn() -> None:
    logits = np.array([2.0, -1.0, 1.0], np.float32)
    penalised = sampler(repetition_penalty=2.0, read=(0, 1)).probabilities(logits)
    expected = np.exp([1.0, -2.0, 1.0])
    np.testing.assert_allclose(penalised, expected / expected.sum())
    draw = sampler(repetition_penalty=100.0, temperature=0)
    equal = np.array([3.0, 2.9, 2.8], np.float32)
    assert [draw.draw(equal) for _ in range(3)] == [0, 1, 2]


def test_suppress_tokens_are_never_drawn() -> None:
    assert spread(suppress_tokens=(1,)) == [0.1667, 0, 0.3333, 0.4167, 0.0833]
    assert sampler(suppress_tokens=(1,), temperature=0).draw(LOGITS) == 3
    assert spread(suppress_tokens=(1,), top_k=1) == [0, 0, 0, 1, 0]


def test_draws_follow_the_distribution() -> None:
    draw = sampler()
    counts = np.bincount([draw.draw(LOGITS) for _ in range(20_000)], minlength=5)
    np.testing.assert_allclose(counts / 20_000, P, atol=0.012)


@pytest.mark.parametrize(
    "settings", [{}, {"top_k": 3}, {"top_p": 0.7}, {"min_p": 0.2}, {"temperature": 2.0}]
)
def test_a_draw_looks_up_one_number_in_order_of_id(settings: dict[str, float]) -> None:
    """The definition, that other runtimes must share: Philox, 53 bits, cumulative by id."""
    random = np.random.Philox(key=7)
    draw = sampler(seed=7, **settings)
    for _ in range(50):
        number = (random.random_raw() >> 11) * 2.0**-53
        cumulative = np.cumsum(draw.probabilities(LOGITS))
        assert draw.draw(LOGITS) == int((cumulative <= number * cumulative[-1]).sum())


def test_the_stream_of_a_seed_never_changes() -> None:
    draw = sampler(seed=42)
    assert [draw.draw(np.zeros(1000, np.float32)) for _ in range(5)] == [820, 189, 867, 394, 368]


def test_seeds_differ_and_repeat() -> None:
    def tokens(seed: int) -> list[int]:
        draw = sampler(seed=seed)
        return [draw.draw(LOGITS) for _ in range(40)]

    assert tokens(3) == tokens(3) != tokens(4)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(RequestError, match="seed"):
        sampler(seed=seed)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_no_numbers_are_an_error(bad: float, temperature: float) -> None:
    logits = LOGITS.copy()
    logits[2] = bad
    with pytest.raises(TextwrightError, match="not finite"):
        sampler(temperature=temperature).draw(logits)


def test_logits_stay_as_they_are() -> None:
    logits = LOGITS.copy()
    sampler(suppress_tokens=(0,), repetition_penalty=2.0, read=(1,)).draw(logits)
    np.testing.assert_array_equal(logits, LOGITS)


def test_log_probabilities_are_stable() -> None:
    logs = log_probabilities(np.array([[1e4, 1e4 - 1], [-1e4, 0]], np.float32))
    np.testing.assert_allclose(np.exp(logs).sum(-1), 1)
    np.testing.assert_allclose(logs[0], [-0.313262, -1.313262], rtol=1e-5)


def test_the_likeliest_come_first_and_equal_ones_in_order() -> None:
    assert ranked(P, 3).tolist() == [1, 3, 2]
    assert ranked(np.ones(4), 2).tolist() == [0, 1]
    assert ranked(P, 99).tolist() == [1, 3, 2, 0, 4]
    assert ranked(P, 0).tolist() == []


@pytest.mark.filterwarnings("default")  # of transformers
def test_settings_mean_what_they_mean_in_transformers() -> None:
    import torch
    from transformers import (
        LogitsProcessorList,
        MinPLogitsWarper,
        RepetitionPenaltyLogitsProcessor,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    random = np.random.default_rng(0)
    for _ in range(60):
        logits = random.normal(0, 2, 50).astype(np.float32)
        read = tuple(random.integers(0, 50, 8).tolist())
        settings = {
            "temperature": float(random.choice([0.5, 0.8, 1.0, 1.7])),
            "top_k": int(random.choice([0, 1, 5, 30])),
            "top_p": float(random.choice([1.0, 0.9, 0.5])),
            "min_p": float(random.choice([0.0, 0.05, 0.3])),
            "repetition_penalty": float(random.choice([1.0, 1.3])),
        }
        steps = LogitsProcessorList(
            [
                RepetitionPenaltyLogitsProcessor(settings["repetition_penalty"]),
                TemperatureLogitsWarper(settings["temperature"]),
            ]
        )
        if settings["top_k"]:
            steps.append(TopKLogitsWarper(int(settings["top_k"])))
        steps.append(TopPLogitsWarper(settings["top_p"]))
        steps.append(MinPLogitsWarper(settings["min_p"]))
        scores = steps(torch.tensor([read]), torch.tensor(logits, dtype=torch.float64)[None])
        expected = torch.softmax(scores[0], -1).numpy()
        found = sampler(read=read, **settings).probabilities(logits)
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_bias_and_penalties_are_subtracted_from_what_the_model_said() -> None:
    from collections import Counter

    from textwright.generation.sampling import LogitsProcessor

    processor = LogitsProcessor(bias={0: 1.5}, presence_penalty=0.5, frequency_penalty=0.25)
    logits = np.array([2.0, 3.0, 4.0], np.float32)
    assert processor.apply(logits, Counter({1: 3})).tolist() == [3.5, 1.75, 4.0]


def test_top_k_of_all_tokens_but_one_drops_that_one() -> None:
    logits = np.array([0.0, 0.0, -1.0], np.float32)
    sampler = Sampler(SamplingSettings(temperature=1.0, top_k=2), 1)
    assert sampler.probabilities(logits).tolist() == [0.5, 0.5, 0.0]
