"""What a plan chooses, on machines that are measured to be this fast or that."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from textwright.configs import RecurrentConfig, Settings, TrainingSettings, model_config
from textwright.training.loop.learner import Learner
from textwright.training.planning import benchmark, planner
from textwright.training.planning.benchmark import Timing, measure
from textwright.training.planning.presets import SIZES, SizeOption, model_settings, preset

OPERATIONS = 2e10
"""Parameters × tokens a second: of one core of a laptop, about."""


def options(family: str = "lstm", **training: Any) -> list[SizeOption]:
    """Every size of a family, with its own recipe."""
    return [
        SizeOption(
            size,
            model_settings(family, size, 65),
            Settings(
                training=TrainingSettings.model_validate(
                    {**preset(family, size).training, "minutes": 5.0, **training}
                )
            ),
            chooses_dropout=True,
        )
        for size in SIZES[family]
    ]


def text(tokens: int) -> np.ndarray:
    return np.zeros(tokens, np.uint16)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[SizeOption]:
    """Times every size by its parameters, in no time; gives what was measured."""
    measured: list[SizeOption] = []

    def stub(option: SizeOption, *_: Any, with_evaluation: bool = True, **__: Any) -> Timing:
        measured.append(option)
        step = option.model.parameter_count() * option.tokens_per_step / OPERATIONS
        return Timing(step, 2.0, 0.5) if with_evaluation else Timing(step, 0.0, 0.0)

    monkeypatch.setattr(planner, "measure", stub)
    monkeypatch.setattr(planner, "time", Stopped())
    return measured


class Stopped:
    """A clock that stands still, so that planning takes no time."""

    @staticmethod
    def monotonic() -> float:
        return 1000.0


def plan(tokens: int, minutes: float, validation: int = 50_000, **training: Any) -> Any:
    return planner.timed_plan(
        options(minutes=minutes, **training), text(tokens), text(validation), 1000 + 60 * minutes
    )


@pytest.mark.usefixtures("machine")
def test_more_time_takes_a_larger_size() -> None:
    sizes = [plan(10_000_000, minutes)[0].size for minutes in (1, 30, 1000)]
    assert sizes == ["nano", "micro", "small"]


@pytest.mark.usefixtures("machine")
def test_a_short_text_keeps_a_small_size_whatever_the_time() -> None:
    """`micro` has 3.5 million parameters: twelve a token are too many for 200,000 of them."""
    assert plan(200_000, 3000)[0].size == "nano"
    assert plan(400_000, 3000)[0].size == "micro"


@pytest.mark.parametrize("tokens", [4, 5, 40, 400])
def test_a_text_of_a_few_words_has_a_model_that_can_be_loaded(tokens: int) -> None:
    wanted = RecurrentConfig(vocab_size=9, block_size=64, num_layers=1)
    request: Any = SimpleNamespace(values={})
    model = planner._fit_to_text(request, wanted, TrainingSettings(), tokens)
    assert 2 <= model.block_size <= max(2, tokens // 4)
    assert model_config(model.to_json()) == model


@pytest.mark.usefixtures("machine")
def test_a_text_of_few_steps_keeps_a_small_size() -> None:
    """Steps so large that 400,000 tokens, enough for `micro`, make fewer than four of them."""
    assert plan(400_000, 3000, batch_size=1024)[0].size == "micro"
    assert plan(400_000, 3000, batch_size=2048)[0].size == "nano"


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("tokens", "dropout"), [(10_000_000, 0.0), (600_000, 0.1), (250_000, 0.2), (100_000, 0.4)]
)
def test_dropout_grows_with_the_epochs(tokens: int, dropout: float) -> None:
    """Five minutes read these texts 0.6, 11, 25 and 63 times."""
    assert plan(tokens, 5)[0].model.dropout == dropout


def test_what_is_timed_has_the_dropout_that_will_be_trained(machine: list[SizeOption]) -> None:
    chosen, _ = plan(100_000, 5)
    assert chosen.model.dropout > 0
    assert machine[-1].model.dropout == chosen.model.dropout


@pytest.mark.usefixtures("machine")
def test_steps_and_evaluations_fill_the_time() -> None:
    chosen, planned = plan(1_000_000, 5)
    step = chosen.model.parameter_count() * chosen.tokens_per_step / OPERATIONS
    evaluations = -(-planned.steps // planned.eval_every) + 1
    share = planned.eval_tokens / 50_000 if planned.eval_tokens else 1.0
    spent = planned.steps * step + evaluations * (0.5 + share * 1.5)
    assert 0.9 * 300 < spent <= 300
    assert planned.expected_seconds == pytest.approx(spent)
    assert planned.tokens_per_second == pytest.approx(chosen.tokens_per_step / step)


@pytest.mark.usefixtures("machine")
def test_evaluations_take_a_small_share_of_the_time() -> None:
    """A validation text that takes 2 s to read: 25 times in an hour, in part in a minute."""
    _, long = plan(1_000_000, 60)
    assert long.eval_tokens == 0
    assert -(-long.steps // long.eval_every) == 20
    _, short = plan(1_000_000, 1)
    assert 0 < short.eval_tokens < 50_000
    assert -(-short.steps // short.eval_every) >= 4
    # those that read less come more often
    _, whole = plan(1_000_000, 5)
    _, less = plan(1_000_000, 5, eval_tokens=5_000)
    assert less.eval_tokens == 5_000
    assert less.steps // less.eval_every > 2 * (whole.steps // whole.eval_every)


class Steps:
    """A learner that takes no time; a clock that says how long it took."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self.now, self.seconds, self.taken = 0.0, seconds, list[int]()

    def perf_counter(self) -> float:
        return self.now

    def step(self, number: int) -> torch.Tensor:
        self.taken.append(number)
        self.now += self.seconds(torch.get_num_threads())
        return torch.zeros(())


@pytest.fixture
def two_threads() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("one", "two", "chosen"), [(0.2, 0.11, 2), (0.2, 0.19, 1), (0.2, 0.6, 1)])
def test_two_threads_are_taken_where_they_pay(
    monkeypatch: pytest.MonkeyPatch, one: float, two: float, chosen: int
) -> None:
    steps = Steps(lambda threads: {1: one, 2: two}[threads])

    class Stub(Learner):
        def __init__(self, *_: Any, **__: Any) -> None:
            self.device = torch.device("cpu")

        def use_threads(self, count: int) -> None:
            torch.set_num_threads(count)

        def step(self, step: int) -> torch.Tensor:
            return steps.step(step)

    monkeypatch.setattr(benchmark, "Learner", Stub)
    monkeypatch.setattr(benchmark, "time", steps)
    nano = options(shards=1)[0]
    assert planner._thread_counts(nano) == (2, 1)
    timing = measure(nano, text(99_999), text(999), 2.0, threads=(2, 1), with_evaluation=False)
    assert timing.threads == chosen
    assert torch.get_num_threads() == 2, "how many torch takes is left as it was"
    assert timing.step_seconds == pytest.approx({1: one, 2: two}[chosen])
    assert steps.taken == list(range(len(steps.taken))), "each step is another"


@pytest.mark.usefixtures("two_threads")
def test_threads_that_somebody_set_are_not_chosen_again() -> None:
    assert planner._thread_counts(options(threads=2)[0]) == ()


def counted(
    family: str = "lstm", validation: int = 50_000, **training: Any
) -> tuple[SizeOption, Any]:
    option = options(family, **{"minutes": None, "shards": 2, **training})[0]
    return planner.counted_plan(option, text(1_000_000), text(validation))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("pay", [2, 1])
def test_counted_steps_take_the_threads_that_pay(monkeypatch: pytest.MonkeyPatch, pay: int) -> None:
    asked = []

    def stub(option: SizeOption, *_: Any, threads: Sequence[int], **__: Any) -> Timing:
        asked.append(tuple(threads))
        return Timing(1.0, 0.0, 0.0, pay)

    monkeypatch.setattr(planner, "measure", stub)
    assert counted(steps=1000)[0].training.threads == pay
    assert asked == [(2, 1)]
    assert counted(steps=20)[0].training.threads == 2, "too few to measure: two are no slower"
    assert counted(steps=1000, threads=1)[0].training.threads == 1
    # Torch's own threads change what an LSTM's sums are, and counted steps promise the same bytes
    assert counted(steps=1000, shards=1)[0].training.threads == 1
    assert asked == [(2, 1)]
    assert counted("gpt", steps=1000, shards=1)[0].training.threads == pay


@pytest.mark.usefixtures("machine")
def test_counted_steps_evaluate_for_a_small_share_of_what_they_learn() -> None:
    """Of 20 MB of validation text a hundred steps would otherwise read all, eleven times."""
    _, plan = counted(steps=100, validation=20_000_000)
    evaluations = 1 + -(-plan.steps // plan.eval_every)
    assert evaluations == 11
    assert 0 < evaluations * plan.eval_tokens <= 0.25 * plan.steps * plan.tokens_per_step
    _, often = counted(steps=10_000, validation=20_000_000, eval_every=10)
    assert 0 < 1001 * often.eval_tokens <= 0.25 * 10_000 * often.tokens_per_step
    assert counted(steps=10_000)[1].eval_tokens == 0, "a text that is soon read is read whole"
    assert counted(steps=100, eval_tokens=0, validation=20_000_000)[1].eval_tokens == 0


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(("epochs", "evaluations"), [(2, 10), (7, 7), (20, 20), (50, 10)])
def test_a_few_epochs_are_evaluated_once_each(epochs: int, evaluations: int) -> None:
    _, plan = counted(epochs=epochs)
    assert -(-plan.steps // plan.eval_every) == evaluations


def test_a_stall_does_not_count() -> None:
    seconds: Sequence[float] = [0.1] * 19 + [5.0]
    assert benchmark._trimmed_mean(seconds) == pytest.approx(0.1)


def test_measuring_learns_nothing_and_takes_real_steps() -> None:
    """With the real learner and the real clock; how fast it is doesn't matter."""
    tokens = (np.arange(5000) % 7).astype(np.uint16)
    model = model_settings("lstm", "nano", 7, {"hidden_size": 8, "embedding_size": 8})
    option = SizeOption(None, model, Settings(training=TrainingSettings(batch_size=2)))
    begin = time.perf_counter()
    timing = measure(option, tokens, tokens[:500], 0.01)
    assert 0 < timing.step_seconds < time.perf_counter() - begin
    assert timing.evaluation_seconds > timing.fixed_seconds > 0
